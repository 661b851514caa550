// Package volume makes volumes through the metadata engine (pkg/meta) of an older JuiceFS, whose complete command line
// cannot be built any more. The schema and every record come from that version's code; the block objects are written by
// this package, so that a later client can read the files.
package volume

import (
	"flag"
	"fmt"
	"os"

	"github.com/juicedata/juicefs/pkg/meta"
)

// Adapter covers what differs between the versions of pkg/meta.
type Adapter struct {
	Background func() meta.Context
	Clone      func(m meta.Meta, srcParent, src, dstParent meta.Ino, name string, mode uint8) error
	SetQuota   func(m meta.Meta, path string, quota *meta.Quota) error
	Remove     func(m meta.Meta, parent meta.Ino, name string) error
}

const usage = `usage:
  make [-files N] [-end crashed|closed] META-URL BUCKET-DIR NAME   format and fill a volume
  features                                                         list what "make" puts into it
  dump META-URL FILE                                               this version's JSON dump
  load META-URL FILE                                               this version's JSON load
`

// Main is the whole program; the callers are five lines each.
func Main(adapter Adapter) {
	if err := run(adapter, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(adapter Adapter, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	command, args := args[0], args[1:]
	switch command {
	case "make":
		flags := flag.NewFlagSet("make", flag.ContinueOnError)
		files := flags.Int("files", 300, "number of plain files")
		end := flags.String("end", "crashed", "crashed: session, locks and open files stay recorded; closed: in order")
		if err := flags.Parse(args); err != nil {
			return err
		}
		if flags.NArg() != 3 {
			return fmt.Errorf("%s", usage)
		}
		return makeVolume(adapter, flags.Arg(0), flags.Arg(1), flags.Arg(2), *files, *end == "closed")
	case "features":
		for _, each := range steps {
			fmt.Println(each.feature)
		}
		return nil
	case "dump":
		return dump(args[0], args[1])
	case "load":
		return load(args[0], args[1])
	}
	return fmt.Errorf("%s", usage)
}

func dump(url, path string) error {
	m := meta.NewClient(url, meta.DefaultConf())
	if _, err := m.Load(true); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := m.DumpMeta(file, 1, 1, false, false, false); err != nil {
		return err
	}
	return file.Close()
}

func load(url, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return meta.NewClient(url, meta.DefaultConf()).LoadMeta(file)
}
