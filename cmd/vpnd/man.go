package main

import (
	"fmt"
	"os"
	"strings"
	"vpnd/internal/buildinfo"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand is `vpnd man-pages`, which the Makefile calls. It is hidden: no user needs it.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man-pages DIRECTORY", Short: "Write a manual page for each command", Hidden: true,
		Long: "Writes a manual page for each command into DIRECTORY.\n" +
			"The date of the pages is SOURCE_DATE_EPOCH (seconds since 1970) if it is set, otherwise today.",
		Args: named("DIRECTORY"),
		RunE: func(_ *cobra.Command, args []string) error { return writeManPages(args[0]) },
	}
}

// writeManPages writes the pages of its own command tree, whose help texts it changes.
func writeManPages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // manual pages are for everybody
		return err
	}
	root := newRootCommand()
	root.DisableAutoGenTag = true
	forManPages(root)
	return doc.GenManTree(root, &doc.GenManHeader{
		Section: "1", Source: "vpnd " + buildinfo.Read().Release, Manual: "vpnd manual",
	}, dir)
}

// forManPages rewrites the help texts of cmd and its subcommands as Markdown, which the generator
// reads.
func forManPages(cmd *cobra.Command) {
	if cmd.Long == "" {
		cmd.Long = cmd.Short + "."
	}
	cmd.Long = markdown(cmd.Long)
	if !cmd.HasParent() {
		cmd.Long += "\n# EXIT STATUS\n"
		for _, s := range statuses {
			cmd.Long += fmt.Sprintf("**%d**: %s\n\n", s.code, s.text)
		}
	}
	for _, c := range cmd.Commands() {
		forManPages(c)
	}
}

// markdown keeps the line ends of paragraphs with columns. In other paragraphs it escapes
// characters that Markdown would read as markup.
func markdown(text string) string {
	escape := strings.NewReplacer("_", `\_`, "*", `\*`, "<", `\<`, "[", `\[`)
	paragraphs := strings.Split(strings.Trim(text, "\n"), "\n\n")
	for i, paragraph := range paragraphs {
		if strings.Contains(paragraph, "  ") {
			paragraphs[i] = "    " + strings.ReplaceAll(paragraph, "\n", "\n    ")
		} else {
			paragraphs[i] = escape.Replace(paragraph)
		}
	}
	return strings.Join(paragraphs, "\n\n") + "\n"
}
