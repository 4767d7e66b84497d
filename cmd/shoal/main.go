// Command shoal downloads, seeds, makes and inspects torrents.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run is the whole program but for the process: it returns the exit code.
func run(args []string, io streams) int {
	root := newRoot(io)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if code == exitGeneral && isUsage(err) {
		code = exitUsage
	}
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintln(io.err, "shoal: "+text)
	}
	return code
}

// oneLine keeps an error to the one line that scripts expect, without anything that
// would command a terminal.
func oneLine(s string) string {
	return printable(strings.Join(strings.Fields(s), " "))
}

// isUsage recognises the errors that cobra and pflag make of a wrong command line;
// they have no type of their own.
func isUsage(err error) bool {
	s := err.Error()
	for _, head := range []string{"unknown command", "unknown flag", "unknown shorthand", "flag needs an argument", "invalid argument",
		"accepts ", "requires ", "bad flag syntax", "required flag"} {
		if strings.HasPrefix(s, head) {
			return true
		}
	}
	return false
}

// newRoot builds the tree of commands.
func newRoot(io streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "shoal",
		Short:         "A BitTorrent client",
		Long:          "shoal downloads, seeds, makes and inspects torrents.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitUsage, err} })
	root.AddCommand(newDownload(io), newSeed(io), newCreate(io), newInfo(io), newMagnet(io), newVerify(io), newBencode(io),
		newPeers(io), newHandshake(io), newPiece(io), newTracker(io), newDemo(io), newVersion(io), newExitCodes(io))
	return root
}
