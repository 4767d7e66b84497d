package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// wants is the check of a command's arguments: there must be one for each name, but
// for one in brackets, and any number of the last if that ends in dots.
func wants(names ...string) cobra.PositionalArgs {
	last := names[len(names)-1]
	least, most := len(names), len(names)
	if strings.HasPrefix(last, "[") {
		least--
	}
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (len(args) <= most || strings.HasSuffix(last, "...")) {
			return nil
		}
		return fail(exitUsage, "%s wants %s, got %s; see %s --help", c.CommandPath(), strings.Join(names, " "), count(len(args), "argument"), c.CommandPath())
	}
}

// noArgs refuses arguments: those of a group are the names of its commands.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return fail(exitUsage, "unknown command %q; see %s --help", args[0], c.CommandPath())
	}
	return fail(exitUsage, "%s takes no arguments, got %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
}

// group is a command that only holds others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}

// flagError says what is wrong with a flag, without the words of strconv.
func flagError(c *cobra.Command, err error) error {
	text, _, _ := strings.Cut(err.Error(), ": strconv.")
	return fail(exitUsage, "%s; see %s --help", text, c.CommandPath())
}

// strictHelp makes "help TOPIC" fail for what there is no help on.
func strictHelp(root, help *cobra.Command) {
	show := help.Run
	help.Run = nil
	help.RunE = func(c *cobra.Command, args []string) error {
		found, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 || found == nil || laterText(found) != "" {
			return fail(exitUsage, "no help on %q; see shoal --help", strings.Join(args, " "))
		}
		show(c, args)
		return nil
	}
}
