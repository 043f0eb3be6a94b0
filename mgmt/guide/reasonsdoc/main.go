// Reasonsdoc writes docs/reasons.md from the table of reasons.
package main

import (
	"log"
	"os"
	"vpnd/internal/atomicfile"
	"vpnd/mgmt/guide"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: reasonsdoc FILE")
	}
	err := atomicfile.Write(os.Args[1], 0o644, func(file *os.File) error {
		_, err := file.WriteString(guide.Reasons())
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}
