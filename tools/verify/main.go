// Command verify fits the weights of the verifier (internal/engine/cite/fitted.go).
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	data := flag.String("data", "", "file of WiCE (JSON lines, gzip): fit the weights to it")
	write := flag.Bool("write", false, "write the weights into the source")
	cosine := flag.Bool("cosine", false, "ask the built-in sentence encoder too")
	root := flag.String("root", "../..", "root of the repository")
	flag.Parse()
	var err error
	switch {
	case *data != "":
		err = fit(*root, *data, *cosine, *write)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}
