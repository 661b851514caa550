module cairn.test/peers/juicefs-meta-volume

go 1.25.0

// Any version from v1.2.0 on: the program that uses this package chooses.
require github.com/juicedata/juicefs v1.2.0
