// Package archtest holds the rules of ARCHITECTURE.md as tests, so that the
// design is checked by the same "go test ./..." as the behaviour.
//
// The rules come in five groups:
//
//   - imports.go: who may import whom, which packages are pure, and which
//     modules from outside are allowed where;
//   - handlers.go: what the files of actors may not do (wait, read a clock, draw
//     global randomness, touch files or sockets);
//   - order.go: ranging over a map, whose order must not reach a message;
//   - shape.go: package comments, length of functions and files;
//   - decoders.go: what reads bytes from outside has a fuzz target, by the list in
//     decoders_table.go.
//
// A file that begins with a comment line "//pump: ..." is a pump or worker: a loop
// around the blocking call that the comment names, with no decisions in it. Such
// files are exempt from the rules for handlers. Single lines are exempted by
//
//	//order: irrelevant      above or beside a range over a map; a reason helps
//	//atomic: why            above or beside the import of sync/atomic
//	//float: why             above or beside a comparison of floats
//
// The tables at the top of rules.go are the rules; the tests run them over this
// repository and over testdata/*.txt, where each rule is shown being broken.
package archtest
