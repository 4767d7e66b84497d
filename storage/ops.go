package storage

import "github.com/shoal-bt/shoal/actor"

// op is a step that changes how a torrent is stored. A torrent's ops are done one
// after the other, each behind the fence it asks for.
type op struct {
	fence fence
	task  task
	// copying: it is part of a copy, so it does not wait for its end.
	copying bool
	// ready fills in the task just before it is handed out, when nothing else
	// touches the files; nil if there is nothing to fill in.
	ready func()
}

// operate queues a step. While payload is being copied to another folder, steps
// that change names wait for its end.
func (s *Storage) operate(t *torrent, o *op) {
	if t.mustWait(o) {
		t.later.push(o)
		return
	}
	t.ops.push(o)
	s.lanes.slow.add(t)
}

// mustWait reports whether a step would change names that are being copied.
func (t *torrent) mustWait(o *op) bool {
	return (t.move.copying || t.copies > 0) && o.fence == fenceAll && !o.copying
}

// afterCopy queues what has waited for the end of a copy.
func (s *Storage) afterCopy(t *torrent) {
	if t.move.copying || t.copies > 0 {
		return
	}
	for n := t.later.len(); n > 0; n-- {
		s.operate(t, t.later.pop())
	}
}

// giveSlow hands out the next step of torrents whose files are left alone.
func (s *Storage) giveSlow(c *actor.Ctx[Message]) {
	for range s.lanes.slow.len() {
		if !s.room(LaneSlow) {
			return
		}
		t := s.lanes.slow.next()
		for !t.opBusy && t.ops.len() > 0 && t.mustWait(t.ops.front()) {
			t.later.push(t.ops.pop())
		}
		if t.opBusy || t.ops.len() == 0 {
			continue
		}
		o := t.ops.front()
		t.fence = max(t.fence, o.fence)
		if !t.quiet() {
			s.lanes.slow.add(t)
			continue
		}
		t.ops.pop()
		t.opBusy = true
		if o.ready != nil {
			o.ready()
		}
		s.submit(c, LaneSlow, t, o.task)
	}
}

// opDone ends a step and lets the files be used again.
func (s *Storage) opDone(c *actor.Ctx[Message], t *torrent, k task) {
	t.opBusy = false
	fenced := t.fence != fenceNone // so that syncs may have had to wait
	t.fence = fenceNone
	s.finishOp(c, t, k)
	s.lanes.slow.add(t)
	s.lanes.hash.add(t)
	s.lanes.read.add(t)
	s.lanes.write.add(t)
	if fenced && t.dirt.bytes > 0 || len(t.dirt.lost)+len(t.dirt.wait) > 0 {
		s.sync.due.add(t)
	}
	s.advanceClose(c, t)
}

// finishOp says what follows from a step.
func (s *Storage) finishOp(c *actor.Ctx[Message], t *torrent, k task) {
	switch k := k.(type) {
	case *stateTask:
		s.stateKept(c, t, k)
	case *compactTask:
		s.compacted(c, t, k)
	case *selectTask:
		s.selected(t, k)
	case *finishTask:
		s.finished(c, t, k)
	case *renameTask:
		s.renamed(t, k)
	case *linkTask:
		if k.err != nil {
			c.Log().Warn("symbolic link not made", "torrent", t.key, "err", k.err)
		}
	case *arrivedTask:
		s.haveArrived(c, t, k)
	case *lookTask:
		s.looked(c, t, k)
	case *rewriteTask:
		s.rewritten(c, t, k)
	case *moveTask:
		s.moved(t, k)
	case *copyTask:
		s.copied(t, k)
	case *switchTask:
		s.switched(c, t, k)
	case *undoTask:
		s.undone(c, t, k)
	case *closeTask:
		s.closed(t, k)
	}
}

// onSave keeps the torrent's own facts.
func (s *Storage) onSave(t *torrent, m Save) {
	if len(m.Value) > maxSaved {
		t.done(m.Cookie, errSavedTooLong)
		return
	}
	k := &stateTask{store: t.store, cookie: m.Cookie, answer: true}
	k.record = appendSaved(nil, m.Value)
	s.operate(t, &op{task: k, ready: func() { t.facts.saved = m.Value }})
}

// stateKept answers Save.
func (s *Storage) stateKept(c *actor.Ctx[Message], t *torrent, k *stateTask) {
	s.recorded(t, int64(len(k.record)), k.err)
	if k.err != nil {
		c.Log().Warn("state file: append failed", "torrent", t.key, "err", k.err)
	}
	if k.answer {
		t.done(k.cookie, k.err)
	}
}

// compact queues a new snapshot instead of the state file as it has grown.
func (s *Storage) compact(t *torrent) {
	if t.compacting || t.phase == closing {
		return
	}
	t.compacting = true
	k := &compactTask{store: t.store}
	s.operate(t, &op{fence: fenceWrite, task: k, ready: func() {
		k.data = t.facts.appendSnapshot([]byte(stateHeader), &t.lay.Lengths)
	}})
}

// compacted notes the state file's new length. After a failure and a pause the next
// record that can't be appended, or the file's growth, brings another attempt.
func (s *Storage) compacted(c *actor.Ctx[Message], t *torrent, k *compactTask) {
	t.compacting = false
	t.logged = 0
	if k.err != nil {
		t.compactNext = s.now.Add(retryMost)
		c.Log().Warn("state file: snapshot failed", "torrent", t.key, "err", k.err)
	}
}
