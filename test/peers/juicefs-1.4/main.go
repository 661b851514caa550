// The real JuiceFS command line, unchanged: built from its Go module because Go refuses
// `go install` for a module with replace directives.
package main

import (
	"fmt"
	"os"

	"github.com/juicedata/juicefs/cmd"
)

func main() {
	if err := cmd.Main(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
