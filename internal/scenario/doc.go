// Package scenario runs text files of commands and expected output, for tests of
// what decides: pickers, chokers, tables. A file reads
//
//	# guards: what broke once, or must not break
//
//	new rarest pieces=4
//	set 1 avail=3
//	----
//
//	order has=0-2
//	----
//	{0 2} 1
//
// Commands stand above "----", what they print below it, an empty line ends it.
// Lines with # are comments. Every file begins with one that says which regression
// it guards. With -rewrite the expected output is replaced by the actual one.
package scenario
