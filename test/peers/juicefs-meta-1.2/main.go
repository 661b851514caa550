// Makes volumes with the metadata engine of JuiceFS v1.2.0.
package main

import (
	"syscall"

	volume "cairn.test/peers/juicefs-meta-volume"
	"github.com/juicedata/juicefs/pkg/meta"
)

func main() {
	volume.Main(volume.Adapter{
		Background: func() meta.Context { return meta.Background },
		Clone: func(m meta.Meta, _, src, dstParent meta.Ino, name string, mode uint8) error {
			var count, total uint64
			return asError(m.Clone(meta.Background, src, dstParent, name, mode, 0o022, &count, &total))
		},
		SetQuota: func(m meta.Meta, path string, quota *meta.Quota) error {
			quotas := map[string]*meta.Quota{path: quota}
			return m.HandleQuota(meta.Background, meta.QuotaSet, path, quotas, true, false)
		},
		Remove: func(m meta.Meta, parent meta.Ino, name string) error {
			var count uint64
			return asError(m.Remove(meta.Background, parent, name, &count))
		},
	})
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
