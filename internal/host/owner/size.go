package owner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// manyFiles reports more open files than a walk may read, without walking:
// the first number of sys/fs/file-nr (proc_sys_fs(5)) counts open file
// descriptions. There may be more descriptors than these, where processes
// share them, but hardly fewer.
func manyFiles(procRoot string) bool {
	text, err := os.ReadFile(filepath.Join(procRoot, "sys/fs/file-nr"))
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(text), "\t")
	n, err := strconv.Atoi(first)
	return err == nil && n > 2*walkBudget
}
