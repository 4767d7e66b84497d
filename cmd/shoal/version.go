package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
)

func newVersion(st streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			rev := revision()
			if asJSON {
				return printJSON(st, map[string]any{"version": engine.Version, "revision": rev, "go": runtime.Version(),
					"os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			_, err := fmt.Fprintf(st.out, "shoal %s %s %s/%s\n", engine.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// revision is the commit that the program was built from, if the build knew it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// newExitCodes is a help topic.
func newExitCodes(st streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "exit-codes",
		Short: "The exit codes and what they mean",
	}
	text := "Exit codes:\n"
	for _, e := range exitNames {
		text += fmt.Sprintf("  %3d  %s\n", e.code, e.text)
	}
	c.Long = text
	c.SetHelpFunc(func(*cobra.Command, []string) { fmt.Fprint(st.out, text) })
	return c
}
