package main

import (
	"fmt"

	"github.com/juicedata/juicefs/pkg/meta"
)

func main() { fmt.Println(meta.DefaultConf()) }
