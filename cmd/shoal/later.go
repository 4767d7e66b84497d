package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/engine"
)

// What a later version will have is hidden from help here, and answers one clear
// line: a script must not think that it did something.

// laterCommands are the names of commands to come.
var laterCommands = []string{"sim", "net", "bench", "man"}

// laterKey marks a command that is not there yet.
const laterKey = "later"

func addLater(root *cobra.Command) {
	for _, name := range laterCommands {
		root.AddCommand(&cobra.Command{
			Use: name, Hidden: true, DisableFlagParsing: true, Annotations: map[string]string{laterKey: name},
			RunE: func(c *cobra.Command, _ []string) error { return tooEarly("shoal " + c.Name()) },
		})
	}
}

// laterText is the name of a command that is not there yet, "" for the others.
func laterText(c *cobra.Command) string { return c.Annotations[laterKey] }

// tooEarly says that this version can't do something.
func tooEarly(what string) error {
	return fail(exitUsage, "%s: this version (%s) can't do that yet", what, engine.Version)
}

// laterFlags registers flags that are not there yet.
func laterFlags(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.StringArray(name, nil, "")
		_ = f.MarkHidden(name)
		_ = f.SetAnnotation(name, laterKey, []string{name})
	}
}

// refuseLater refuses flags that are not there yet, if they are given.
func refuseLater(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if flag.Annotations[laterKey] != nil && err == nil {
			err = tooEarly("--" + flag.Name)
		}
	})
	return err
}
