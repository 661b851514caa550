package volume

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	aclAPI "github.com/juicedata/juicefs/pkg/acl"
	"github.com/juicedata/juicefs/pkg/meta"
)

const chunkBytes = meta.ChunkSize

// step puts one feature into the volume. The listing of "features" and the documentation follow from these.
type step struct {
	feature string
	run     func(v *volume)
}

var steps = []step{
	{"plain files in directories, with content, owners, modes and nanosecond times", (*volume).plainFiles},
	{"a deep chain of directories", (*volume).deepTree},
	{"names and symlink targets that are not UTF-8, and of 255 bytes", (*volume).oddNames},
	{"times at the epoch, beyond 2106 and beyond 2262 (v1.3.1 wraps these around and stores a negative time)", (*volume).oddTimes},
	{"hard links in and across directories", (*volume).hardLinks},
	{"pipes, sockets and device nodes", (*volume).specialFiles},
	{"extended attributes with binary, empty and large values", (*volume).xattrs},
	{"access and default ACLs, shared and inherited", (*volume).acls},
	{"files overwritten, cut, regrown, of several chunks, with holes", (*volume).dataFiles},
	{"a copied range that shares slices", (*volume).copiedRange},
	{"a compacted file whose old slices wait in the trash (delayed slices)", (*volume).compaction},
	{"directory quotas with usage", (*volume).quotas},
	{"a cloned tree and a cloned file", (*volume).clones},
	{"flags immutable and append", (*volume).flags},
	{"renames: over a file, of a directory, exchanged", (*volume).renames},
	{"trash: files, one of two hard links, a tree, a directory", (*volume).trash},
	{"a removed tree", (*volume).removedTree},
	{"files deleted while open (sustained)", (*volume).sustained},
	{"flock and POSIX record locks", (*volume).locks},
	{"a deleted file whose chunks are not removed yet (delfile; after a crash only)", (*volume).soonDeleted},
}

type volume struct {
	adapter Adapter
	meta    meta.Meta
	ctx     meta.Context
	blocks  blockStore
	random  *rand.Rand
	files   int
	open    []meta.Ino
}

func makeVolume(adapter Adapter, url, bucket, name string, files int, closed bool) error {
	conf := meta.DefaultConf()
	conf.NoBGJob = true
	conf.MountPoint = "pkg/meta"
	m := meta.NewClient(url, conf)
	format := &meta.Format{
		Name:             name,
		UUID:             uuid.New().String(),
		Storage:          "file",
		Bucket:           strings.TrimSuffix(bucket, "/") + "/",
		BlockSize:        blockBytes >> 10,
		Compression:      "none",
		TrashDays:        7,
		MetaVersion:      1,
		MinClientVersion: "1.1.0-A",
		DirStats:         true,
		EnableACL:        true,
	}
	if err := m.Init(format, false); err != nil {
		return err
	}
	if _, err := m.Load(true); err != nil {
		return err
	}
	v := &volume{
		adapter: adapter,
		meta:    m,
		ctx:     adapter.Background(),
		blocks:  blockStore{filepath.Join(bucket, name)},
		random:  rand.New(rand.NewSource(1)),
		files:   files,
	}
	if err := os.MkdirAll(v.blocks.root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(v.blocks.root, "juicefs_uuid"), []byte(format.UUID), 0o644); err != nil {
		return err
	}
	m.OnMsg(meta.CompactChunk, func(args ...interface{}) error {
		return v.blocks.compact(args[0].([]meta.Slice), args[1].(uint64))
	})
	m.OnMsg(meta.DeleteSlice, func(args ...interface{}) error {
		return v.blocks.remove(args[0].(uint64), args[1].(uint32))
	})
	if err := m.NewSession(true); err != nil {
		return err
	}
	for _, each := range steps {
		each.run(v)
	}
	// Usage, directory statistics and quotas are flushed up to three seconds late.
	time.Sleep(3500 * time.Millisecond)
	if !closed {
		// The chunks are removed in the background, which the end of the program forestalls.
		check("unlink", m.Unlink(v.ctx, meta.RootInode, soonDeleted, true))
		os.Exit(0)
	}
	for _, inode := range v.open {
		check("close", m.Close(v.ctx, inode))
	}
	if err := m.CloseSession(); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond)
	return nil
}

func check(what string, errno syscall.Errno) {
	if errno != 0 {
		fmt.Fprintf(os.Stderr, "%s: %s\n", what, errno)
		os.Exit(1)
	}
}

func checkError(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", what, err)
		os.Exit(1)
	}
}

func (v *volume) bytes(count int) []byte {
	data := make([]byte, count)
	v.random.Read(data)
	return data
}

func (v *volume) mkdir(parent meta.Ino, name string) meta.Ino {
	var inode meta.Ino
	var attr meta.Attr
	check("mkdir "+name, v.meta.Mkdir(v.ctx, parent, name, 0o755, 0o022, 0, &inode, &attr))
	return inode
}

// create makes a file with content and closes it.
func (v *volume) create(parent meta.Ino, name string, data []byte) meta.Ino {
	inode := v.createOpen(parent, name, data)
	check("close "+name, v.meta.Close(v.ctx, inode))
	return inode
}

func (v *volume) createOpen(parent meta.Ino, name string, data []byte) meta.Ino {
	var inode meta.Ino
	var attr meta.Attr
	check("create "+name, v.meta.Create(v.ctx, parent, name, 0o644, 0o022, syscall.O_RDWR, &inode, &attr))
	v.write(inode, 0, data)
	return inode
}

// write stores the data as one slice for each chunk that it touches.
func (v *volume) write(inode meta.Ino, offset uint64, data []byte) {
	for len(data) > 0 {
		within := uint32(offset % chunkBytes)
		count := min(len(data), int(chunkBytes-within))
		var id uint64
		check("new slice", v.meta.NewSlice(v.ctx, &id))
		checkError("write blocks", v.blocks.write(id, data[:count]))
		slice := meta.Slice{Id: id, Size: uint32(count), Off: 0, Len: uint32(count)}
		check("write", v.meta.Write(v.ctx, inode, uint32(offset/chunkBytes), within, slice, time.Now()))
		offset += uint64(count)
		data = data[count:]
	}
}

func (v *volume) truncate(inode meta.Ino, length uint64) {
	var attr meta.Attr
	check("truncate", v.meta.Truncate(v.ctx, inode, 0, length, &attr, true))
}

func (v *volume) link(inode, parent meta.Ino, name string) {
	var attr meta.Attr
	check("link "+name, v.meta.Link(v.ctx, inode, parent, name, &attr))
}

func (v *volume) symlink(parent meta.Ino, name, target string) {
	var inode meta.Ino
	var attr meta.Attr
	check("symlink "+name, v.meta.Symlink(v.ctx, parent, name, target, &inode, &attr))
}

func (v *volume) lookup(parent meta.Ino, name string) meta.Ino {
	var inode meta.Ino
	var attr meta.Attr
	check("lookup "+name, v.meta.Lookup(v.ctx, parent, name, &inode, &attr, false))
	return inode
}

func (v *volume) setTimes(inode meta.Ino, seconds int64, nanoseconds uint32) {
	attr := meta.Attr{Atime: seconds, Atimensec: nanoseconds, Mtime: seconds, Mtimensec: nanoseconds}
	check("set times", v.meta.SetAttr(v.ctx, inode, meta.SetAttrAtime|meta.SetAttrMtime, 0, &attr))
}

func (v *volume) plainFiles() {
	top := v.mkdir(meta.RootInode, "plain")
	var folder meta.Ino
	for index := 0; index < v.files; index++ {
		if index%25 == 0 {
			folder = v.mkdir(top, fmt.Sprintf("folder-%d", index/25))
		}
		inode := v.create(folder, fmt.Sprintf("file-%d.txt", index), v.bytes(v.random.Intn(5000)))
		if index%3 == 0 {
			attr := meta.Attr{Mode: 0o4711, Uid: uint32(1000 + index), Gid: 1<<31 - 1}
			check("set owner", v.meta.SetAttr(v.ctx, inode, meta.SetAttrUID|meta.SetAttrGID, 0, &attr))
			check("set mode", v.meta.SetAttr(v.ctx, inode, meta.SetAttrMode, 0, &attr))
		}
		if index%4 == 0 {
			v.setTimes(inode, int64(1_600_000_000+index*1000), uint32(index*1_234_567%1_000_000_000))
		}
	}
}

func (v *volume) deepTree() {
	folder := v.mkdir(meta.RootInode, "deep")
	for level := 1; level <= 50; level++ {
		folder = v.mkdir(folder, fmt.Sprintf("level %d", level))
	}
	v.create(folder, "bottom", []byte("bottom\n"))
}

func (v *volume) oddNames() {
	top := v.mkdir(meta.RootInode, "names")
	names := []string{"\xff\xfe", strings.Repeat("\xe9", 255), strings.Repeat("n", 255), "new\nline", "e\u0301", "é", "%2F", " "}
	for _, name := range names {
		v.create(top, name, []byte("odd\n"))
	}
	v.create(v.mkdir(top, "dir \xff"), "within", nil)
	v.symlink(top, "link-to-bytes", "\xff\x80/\xc3")
	v.symlink(top, "link-long", strings.Repeat("t", 4095))
	v.symlink(top, "link-dangling", "nowhere")
}

func (v *volume) oddTimes() {
	top := v.mkdir(meta.RootInode, "times")
	for _, seconds := range []int64{0, 1<<32 + 1, 1 << 33, 10_413_792_000} {
		v.setTimes(v.create(top, fmt.Sprintf("at %d", seconds), nil), seconds, 123_456_789)
	}
}

func (v *volume) hardLinks() {
	top := v.mkdir(meta.RootInode, "links")
	left, right := v.mkdir(top, "left"), v.mkdir(top, "right")
	inode := v.create(left, "original", []byte("one file, many names\n"))
	v.link(inode, left, "beside")
	v.link(inode, right, "across")
	v.link(inode, right, "across-again")
	for index := 0; index < 20; index++ {
		v.link(v.create(left, fmt.Sprintf("pair-%d", index), v.bytes(10)), right, fmt.Sprintf("pair-%d", index))
	}
}

func (v *volume) specialFiles() {
	top := v.mkdir(meta.RootInode, "special")
	for _, each := range []struct {
		name string
		kind uint8
		rdev uint32
	}{
		{"fifo", meta.TypeFIFO, 0},
		{"socket", meta.TypeSocket, 0},
		{"character", meta.TypeCharDev, 0x103},
		{"block", meta.TypeBlockDev, 0x7ff00fff},
	} {
		var inode meta.Ino
		var attr meta.Attr
		check("mknod", v.meta.Mknod(v.ctx, top, each.name, each.kind, 0o640, 0o022, each.rdev, "", &inode, &attr))
	}
}

func (v *volume) xattrs() {
	inode := v.create(meta.RootInode, "attributed", []byte("attributed\n"))
	set := func(name string, value []byte) {
		check("setxattr "+name, v.meta.SetXattr(v.ctx, inode, name, value, 0))
	}
	set("user.text", []byte("plain"))
	set("user.binary", []byte{0, 1, 2, 0xff, 0, 0xfe})
	set("user.empty", []byte{})
	set("user.large", v.bytes(40_000))
	set("user.removed", []byte("gone"))
	check("removexattr", v.meta.RemoveXattr(v.ctx, inode, "user.removed"))
	check("setxattr", v.meta.SetXattr(v.ctx, meta.RootInode, "user.root", []byte("/"), 0))
}

func (v *volume) acls() {
	top := v.mkdir(meta.RootInode, "acl")
	rule := func() *aclAPI.Rule {
		return &aclAPI.Rule{
			Owner: 7, Group: 5, Mask: 7, Other: 1,
			NamedUsers:  aclAPI.Entries{{Id: 1000, Perm: 6}, {Id: 1<<31 - 1, Perm: 4}},
			NamedGroups: aclAPI.Entries{{Id: 100, Perm: 5}},
		}
	}
	check("set acl", v.meta.SetFacl(v.ctx, v.create(top, "one", nil), aclAPI.TypeAccess, rule()))
	check("set acl", v.meta.SetFacl(v.ctx, v.create(top, "two", nil), aclAPI.TypeAccess, rule()))
	masked := rule()
	masked.Mask = 4
	masked.NamedGroups = nil
	check("set acl", v.meta.SetFacl(v.ctx, v.create(top, "masked", nil), aclAPI.TypeAccess, masked))
	folder := v.mkdir(top, "inherits")
	check("set default acl", v.meta.SetFacl(v.ctx, folder, aclAPI.TypeDefault, rule()))
	v.create(v.mkdir(folder, "child"), "grandchild", nil)
}

func (v *volume) dataFiles() {
	top := v.mkdir(meta.RootInode, "data")
	overwritten := v.create(top, "overwritten", v.bytes(100_000))
	v.write(overwritten, 500, v.bytes(1000))
	v.write(overwritten, 99_000, v.bytes(5000))
	cut := v.create(top, "cut", v.bytes(50_000))
	v.truncate(cut, 12_345)
	regrown := v.create(top, "regrown", v.bytes(50_000))
	v.truncate(regrown, 100)
	v.truncate(regrown, 3*chunkBytes+7)
	v.write(v.create(top, "over-the-border", nil), chunkBytes-500, v.bytes(1000))
	chunks := v.create(top, "several-chunks", nil)
	for index := uint64(0); index < 10; index++ {
		v.write(chunks, index*chunkBytes+index, v.bytes(100))
	}
	blocks := v.create(top, "two-blocks", v.bytes(blockBytes+1))
	v.write(blocks, blockBytes-10, v.bytes(20))
	v.truncate(v.create(top, "empty-and-large", nil), 1<<36+1)
	punched := v.create(top, "punched", v.bytes(300_000))
	var length uint64
	check("punch", v.meta.Fallocate(v.ctx, punched, fallocPunchHole|fallocKeepSize, 50_000, 100_000, &length))
}

// The bits of fallocate(2)'s mode.
const (
	fallocKeepSize  = 0x01
	fallocPunchHole = 0x02
)

func (v *volume) copiedRange() {
	data := v.lookup(meta.RootInode, "data")
	from, to := v.lookup(data, "two-blocks"), v.create(data, "copied", []byte("start"))
	var copied, length uint64
	check("copy range", v.meta.CopyFileRange(v.ctx, from, 1000, to, 5, 3_000_000, 0, &copied, &length))
}

func (v *volume) compaction() {
	inode := v.create(meta.RootInode, "compacted", v.bytes(10_000))
	for index := 0; index < 20; index++ {
		v.write(inode, uint64(v.random.Intn(50_000)), v.bytes(700))
	}
	none := func() {}
	check("compact", v.meta.Compact(v.ctx, inode, 1, none, none))
}

func (v *volume) quotas() {
	folder := v.mkdir(meta.RootInode, "quota")
	v.create(folder, "before", v.bytes(9000))
	v.mkdir(folder, "nested")
	checkError("quota", v.adapter.SetQuota(v.meta, "/quota", &meta.Quota{MaxSpace: 1 << 30, MaxInodes: 1000}))
	checkError("quota", v.adapter.SetQuota(v.meta, "/quota/nested", &meta.Quota{MaxSpace: 0, MaxInodes: 50}))
	// The client learns of new quotas at its next heartbeat, so these may count late.
	v.create(folder, "after", v.bytes(9000))
}

const clonePreserve = 0x02

func (v *volume) clones() {
	plain := v.lookup(meta.RootInode, "plain")
	checkError("clone", v.adapter.Clone(v.meta, meta.RootInode, plain, meta.RootInode, "clone of plain", clonePreserve))
	data := v.lookup(meta.RootInode, "data")
	checkError("clone", v.adapter.Clone(v.meta, data, v.lookup(data, "overwritten"), data, "overwritten-clone", 0))
}

func (v *volume) flags() {
	top := v.mkdir(meta.RootInode, "flags")
	for name, flag := range map[string]uint8{"immutable": meta.FlagImmutable, "append": meta.FlagAppend} {
		inode := v.create(top, name, []byte("flagged\n"))
		check("set flag", v.meta.SetAttr(v.ctx, inode, meta.SetAttrFlag, 0, &meta.Attr{Flags: flag}))
	}
}

func (v *volume) renames() {
	top := v.mkdir(meta.RootInode, "renames")
	rename := func(from, to string, flags uint32) {
		var inode meta.Ino
		var attr meta.Attr
		check("rename", v.meta.Rename(v.ctx, top, from, top, to, flags, &inode, &attr))
	}
	v.create(top, "draft", []byte("new\n"))
	v.create(top, "final", []byte("old\n"))
	rename("draft", "final", 0)
	v.create(v.mkdir(top, "folder"), "within", nil)
	rename("folder", "moved \xff", 0)
	v.create(top, "left", []byte("left\n"))
	v.create(top, "right", []byte("right\n"))
	rename("left", "right", meta.RenameExchange)
}

func (v *volume) trash() {
	top := v.mkdir(meta.RootInode, "trashed")
	for index := 0; index < 30; index++ {
		name := fmt.Sprintf("file-%d", index)
		v.create(top, name, v.bytes(100))
		if index%2 == 0 {
			check("unlink", v.meta.Unlink(v.ctx, top, name))
		}
	}
	long := strings.Repeat("\xe9", 255)
	v.create(top, long, nil)
	check("unlink", v.meta.Unlink(v.ctx, top, long))
	inode := v.create(top, "two-names", []byte("two names\n"))
	v.link(inode, top, "other-name")
	check("unlink", v.meta.Unlink(v.ctx, top, "two-names"))
	v.mkdir(top, "empty")
	check("rmdir", v.meta.Rmdir(v.ctx, top, "empty"))
}

func (v *volume) removedTree() {
	top := v.mkdir(meta.RootInode, "removed-tree")
	for index := 0; index < 5; index++ {
		folder := v.mkdir(top, fmt.Sprintf("folder-%d", index))
		for file := 0; file < 5; file++ {
			v.create(folder, fmt.Sprintf("file-%d", file), v.bytes(50))
		}
	}
	checkError("remove", v.adapter.Remove(v.meta, meta.RootInode, "removed-tree"))
}

func (v *volume) sustained() {
	for index := 0; index < 3; index++ {
		name := fmt.Sprintf("deleted-but-open-%d", index)
		v.open = append(v.open, v.createOpen(meta.RootInode, name, v.bytes(5000)))
		// Past the trash: there an open file would only be moved.
		check("unlink", v.meta.Unlink(v.ctx, meta.RootInode, name, true))
	}
}

func (v *volume) locks() {
	inode := v.create(meta.RootInode, "locked", v.bytes(1000))
	check("flock", v.meta.Flock(v.ctx, inode, 0xfeed, syscall.F_RDLCK, false))
	check("flock", v.meta.Flock(v.ctx, inode, 0xbeef, syscall.F_RDLCK, false))
	check("setlk", v.meta.Setlk(v.ctx, inode, 0xfeed, false, syscall.F_WRLCK, 10, 99, 4242))
	check("setlk", v.meta.Setlk(v.ctx, inode, 0xfeed, false, syscall.F_RDLCK, 500, 506, 4242))
}

const soonDeleted = "soon-deleted"

func (v *volume) soonDeleted() {
	inode := v.create(meta.RootInode, soonDeleted, nil)
	for index := uint64(0); index < 20; index++ {
		v.write(inode, index*chunkBytes, v.bytes(10))
	}
}
