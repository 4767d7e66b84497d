// Command shoal downloads, seeds, makes and inspects torrents.
//
// Where to start reading: newRoot below is the list of commands, each in a file of
// its own. download and seed make transfers (transfer.go), which a batch (batch.go)
// runs on one engine and a reporter (report.go) tells of. exit.go is the table of
// exit codes.
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
func run(args []string, st streams) (code int) {
	defer func() {
		if bug := recover(); bug != nil {
			complain(st, fmt.Errorf("internal error, please report it: %v", bug))
			code = exitGeneral
		}
	}()
	root := newRoot(st)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	complain(st, err)
	if code = exitCode(err); code == exitGeneral && isUsage(err) {
		code = exitUsage
	}
	return code
}

// complain writes an error as the one line on stderr that scripts expect. One
// without text has been told already.
func complain(st streams, err error) {
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintln(st.err, "shoal: "+text)
	}
}

// oneLine keeps an error to one line, without anything that would command a terminal.
func oneLine(s string) string {
	return printable(strings.Join(strings.Fields(s), " "))
}

// isUsage recognises what cobra says of a wrong command line; these errors have no
// type of their own, and everything else that is wrong there is ours.
func isUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command")
}

// newRoot builds the tree of commands.
func newRoot(st streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "shoal",
		Short:         "A BitTorrent client",
		Long:          "shoal downloads, seeds, makes and inspects torrents.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(st.in)
	root.SetOut(st.out)
	root.SetErr(st.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newDownload(st), newSeed(st), newCreate(st), newInfo(st), newMagnet(st), newVerify(st), newBencode(st),
		newPeers(st), newHandshake(st), newPiece(st), newTracker(st), newDHT(st), newDemo(st), newVersion(st), newExitCodes(st))
	addLater(root)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = noArgs, func(c *cobra.Command, _ []string) error { return c.Help() }
		case "help":
			strictHelp(root, c)
		}
	}
	return root
}
