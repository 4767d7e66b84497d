"""Runs nodes of libtorrent's DHT without torrents, for the Go package clients.

Started with one argument, a JSON object: addrs (list of [ip, port]), nodes
("ip:port,...", where they begin; the first of addrs is that of the others), settings.
Then one JSON command a line on stdin, one JSON answer a line on stdout. Each names its
node by its place in addrs.
"""
import json
import os
import sys
import time

import libtorrent as lt

cfg = json.loads(sys.argv[1])
sessions = []
for n, (ip, port) in enumerate(cfg["addrs"]):
    begin = cfg["nodes"] or ("" if n == 0 else "%s:%d" % tuple(cfg["addrs"][0]))
    host = "[%s]" % ip if ":" in ip else ip
    settings = {
        "listen_interfaces": "%s:%d" % (host, port),
        "outgoing_interfaces": ip,
        "alert_mask": lt.alert.category_t.dht_notification
        | lt.alert.category_t.dht_operation_notification
        | lt.alert.category_t.error_notification
        | lt.alert.category_t.status_notification,
        "enable_dht": True,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": begin,
        "dht_ignore_dark_internet": False,
        "dht_block_ratelimit": 1000,
        "dht_upload_rate_limit": 1000000,
        "aio_threads": 1,
        "hashing_threads": 1,
    }
    settings.update(cfg["settings"])
    sessions.append(lt.session(settings))


def wait_alert(ses, kinds, seconds, accept=lambda a: True):
    """Waits for one alert of some kinds; None if it does not come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ses.wait_for_alert(50)
        for a in ses.pop_alerts():
            if type(a).__name__ in kinds and accept(a):
                return a
    return None


def nodes_of(ses):
    """How many nodes the table has."""
    return ses.status().dht_nodes


def sha1(text):
    return lt.sha1_hash(bytes.fromhex(text))


def do(req):
    ses = sessions[req.get("node", 0)]
    cmd, wait = req["cmd"], req.get("wait", 20)
    ses.pop_alerts()  # of what was asked before
    if cmd == "nodes":
        return {"nodes": [nodes_of(s) for s in sessions]}
    if cmd == "mesh":
        # Nodes that are only heard of are pinged one every few seconds: too slow here.
        known = cfg["addrs"] + req.get("others", [])
        for n, s in enumerate(sessions):
            for m, at in enumerate(known):
                if m != n:
                    s.add_dht_node(tuple(at))
        return {"nodes": [nodes_of(s) for s in sessions]}
    if cmd == "ids":
        out = []
        for s in sessions:
            st = s.dht_state() if hasattr(s, "dht_state") else None
            state = lt.bdecode(lt.bencode(s.save_state(0x4)))
            ids = state.get(b"dht state", {}).get(b"node-id", b"")
            out.append(ids[:20].hex() if isinstance(ids, bytes) else [i[:20].hex() for i in ids])
        return {"ids": out}
    if cmd == "add":
        ses.add_dht_node((req["ip"], req["port"]))
        return {}
    if cmd == "announce":
        # Python can't make the flags of dht_announce, but a torrent announces as well.
        atp = lt.parse_magnet_uri("magnet:?xt=urn:btih:" + req["hash"])
        atp.save_path = "/nonexistent"
        atp.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        ses.add_torrent(atp)
        return {}
    if cmd == "get_peers":
        ses.dht_get_peers(sha1(req["hash"]))
        a = wait_alert(ses, ("dht_get_peers_reply_alert",), wait)
        return {"peers": ["%s:%d" % tuple(p) for p in a.peers()] if a else []}
    if cmd == "put":
        ses.dht_put_mutable_item(bytes.fromhex(req["private"]), bytes.fromhex(req["key"]),
                                 req["value"].encode(), req["salt"].encode())
        a = wait_alert(ses, ("dht_put_alert",), wait)
        return {"stored": a.num_success if a else 0, "seq": a.seq if a else 0}
    if cmd == "get":
        ses.dht_get_mutable_item(bytes.fromhex(req["key"]), req["salt"].encode())
        a = wait_alert(ses, ("dht_mutable_item_alert",), wait, lambda a: a.authoritative)
        if not a or a.item is None:
            return {"value": "", "seq": 0}
        v = a.item
        if isinstance(v, dict):
            v = v.get("value", v)
        return {"value": v.decode("latin-1") if isinstance(v, bytes) else str(v), "seq": a.seq,
                "signature": bytes(a.signature).hex() if a.signature else ""}
    if cmd == "sample":
        ses.dht_sample_infohashes((req["ip"], req["port"]), sha1(req["target"]))
        a = wait_alert(ses, ("dht_sample_infohashes_alert",), wait)
        if not a:
            return {"samples": [], "num": -1}
        return {"samples": [str(h) for h in a.samples], "num": a.num_infohashes}
    return {"error": "unknown command"}


for line in sys.stdin:
    try:
        out = do(json.loads(line))
    except Exception as e:  # the test hears of it
        out = {"error": repr(e)}
    print(json.dumps(out), flush=True)
os._exit(0)
