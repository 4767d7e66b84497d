package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/bencode"
)

func newBencode(st streams) *cobra.Command {
	var strict, compact bool
	decode := &cobra.Command{
		Use:   "decode STRING-or-FILE",
		Short: "Print bencoded data as JSON; - reads standard input",
		Args:  wants("STRING-or-FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := bencoded(st, args[0])
			if err != nil {
				return err
			}
			v, err := bencode.Parse(raw, bencode.Options{Strict: strict})
			if err != nil {
				return notBencode(args[0], err)
			}
			indent := "  "
			if compact {
				indent = ""
			}
			_, err = fmt.Fprintf(st.out, "%s\n", bencode.AppendJSON(nil, v, indent))
			return err
		},
	}
	decode.Flags().BoolVar(&strict, "strict", false, "accept canonical bencoding only")
	decode.Flags().BoolVar(&compact, "compact", false, "one line")
	encode := &cobra.Command{
		Use:   "encode [JSON-or-FILE]",
		Short: "Turn the JSON view back into bencoded data; standard input by default",
		Args:  wants("[JSON-or-FILE]"),
		RunE: func(_ *cobra.Command, args []string) error {
			source := "-"
			if len(args) == 1 {
				source = args[0]
			}
			text, err := bencoded(st, source)
			if err != nil {
				return err
			}
			raw, err := bencode.FromJSON(text)
			if err != nil {
				return fail(exitBadTorrent, "%w", err)
			}
			_, err = st.out.Write(raw)
			return err
		},
	}
	return group("bencode", "Look into bencoded data", decode, encode)
}

// bencoded reads a file if there is one of that name, standard input for "-", and
// else takes the argument itself.
func bencoded(st streams, arg string) ([]byte, error) {
	if arg == "-" {
		return io.ReadAll(io.LimitReader(st.in, maxTorrentFile))
	}
	if info, err := os.Stat(arg); err == nil && !info.IsDir() {
		return readSource(st, arg)
	}
	return []byte(arg), nil
}

// notBencode says what is wrong with what was to be decoded; a mistyped name of a
// file is not found rather than bad.
func notBencode(arg string, err error) error {
	if arg != "-" && !exists(arg) && (arg == "" || !strings.Contains("dil0123456789", arg[:1])) {
		return fail(exitNotFound, "%q is no file, and not bencode: %w", short(arg, 80), err)
	}
	return fail(exitBadTorrent, "%q is not bencode: %w", short(arg, 80), err)
}
