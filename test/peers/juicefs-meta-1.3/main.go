// Makes volumes with the metadata engine of JuiceFS v1.3.1.
package main

import (
	"syscall"

	volume "cairn.test/peers/juicefs-meta-volume"
	"github.com/juicedata/juicefs/pkg/meta"
)

func main() {
	volume.Main(volume.Adapter{
		Background: meta.Background,
		Clone: func(m meta.Meta, srcParent, src, dstParent meta.Ino, name string, mode uint8) error {
			var count, total uint64
			return asError(m.Clone(meta.Background(), srcParent, src, dstParent, name, mode, 0o022, &count, &total))
		},
		SetQuota: func(m meta.Meta, path string, quota *meta.Quota) error {
			quotas := map[string]*meta.Quota{path: quota}
			return m.HandleQuota(meta.Background(), meta.QuotaSet, path, quotas, true, false, false)
		},
		Remove: func(m meta.Meta, parent meta.Ino, name string) error {
			var count uint64
			return asError(m.Remove(meta.Background(), parent, name, false, 1, &count))
		},
	})
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
