package volume

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/juicedata/juicefs/pkg/meta"
)

const blockBytes = 4 << 20

// blockStore writes slices the way JuiceFS' file storage lays them out:
// {volume}/chunks/{id/1000000}/{id/1000}/{id}_{block}_{bytes}.
type blockStore struct {
	root string
}

func (s blockStore) path(id uint64, block, size int) string {
	return filepath.Join(s.root, "chunks", fmt.Sprint(id/1000000), fmt.Sprint(id/1000), fmt.Sprintf("%d_%d_%d", id, block, size))
}

func (s blockStore) write(id uint64, data []byte) error {
	for block := 0; block*blockBytes < len(data); block++ {
		piece := data[block*blockBytes : min(len(data), (block+1)*blockBytes)]
		path := s.path(id, block, len(piece))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, piece, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s blockStore) read(id uint64, size int) ([]byte, error) {
	data := make([]byte, 0, size)
	for block := 0; block*blockBytes < size; block++ {
		piece, err := os.ReadFile(s.path(id, block, min(blockBytes, size-block*blockBytes)))
		if err != nil {
			return nil, err
		}
		data = append(data, piece...)
	}
	return data, nil
}

// compact joins slices into a new one: what the client does when the metadata engine asks for it.
func (s blockStore) compact(slices []meta.Slice, id uint64) error {
	var joined []byte
	for _, each := range slices {
		if each.Id == 0 {
			joined = append(joined, make([]byte, each.Len)...)
			continue
		}
		data, err := s.read(each.Id, int(each.Size))
		if err != nil {
			return err
		}
		joined = append(joined, data[each.Off:each.Off+each.Len]...)
	}
	return s.write(id, joined)
}

func (s blockStore) remove(id uint64, size uint32) error {
	for block := 0; block*blockBytes < int(size); block++ {
		if err := os.Remove(s.path(id, block, min(blockBytes, int(size)-block*blockBytes))); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
