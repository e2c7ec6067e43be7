package audit

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// ruleBinary looks at the executables behind a row. It holds for loopback
// too: whoever can change a program can use its rights.
func ruleBinary(in *Input, r *row) {
	if r.sock == nil {
		return
	}
	if ps := having(r, func(p exposure.Process) bool { return p.Deleted }); len(ps) > 0 {
		r.raise(deletedBinary(r, ps))
	}
	if ps := having(r, func(p exposure.Process) bool { return p.Replaced && !p.Deleted }); len(ps) > 0 {
		r.raise(replacedBinary(r, ps))
	}
	if ps := having(r, func(p exposure.Process) bool { return p.Writable }); len(ps) > 0 {
		r.raise(writableBinary(r, ps))
	}
	if r.loopbackOnly() || r.expected || r.Container != nil {
		return // a container's programs come with its image, not a package
	}
	if ps := having(r, func(p exposure.Process) bool { return p.Unpackaged && !p.Deleted }); len(ps) > 0 {
		r.raise(unpackagedBinary(r, ps))
	}
}

func having(r *row, is func(exposure.Process) bool) []exposure.Process {
	var out []exposure.Process
	for _, p := range r.Processes {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

func deletedBinary(r *row, ps []exposure.Process) exposure.Finding {
	f := exposure.Finding{Rule: "deleted-binary", Severity: exposure.High,
		Title:       "its program was deleted from disk while it runs",
		Because:     []string{"executable gone: " + ownerText(ps)},
		SafeBecause: []string{"an upgrade that removed the old file looks the same; a restart would settle it"},
	}
	for _, p := range ps {
		pid := itoa(p.PID)
		f.Fix = append(f.Fix, exposure.Fix{What: "keep a copy for inspection", Command: "cp /proc/" + pid + "/exe /root/exe-" + pid})
	}
	if r.Unit != "" && r.Package != "" {
		f.Severity = exposure.Medium
	}
	return f
}

func replacedBinary(r *row, ps []exposure.Process) exposure.Finding {
	f := exposure.Finding{Rule: "deleted-binary", Severity: exposure.Low,
		Title:       "runs an older program than the one on disk",
		Because:     []string{"another file stands at the path since: " + ownerText(ps)},
		SafeBecause: []string{"this is normal after an upgrade until the service is restarted"},
	}
	if r.Unit != "" {
		f.Fix = []exposure.Fix{{What: "run the new version", Command: "systemctl restart " + shellQuote(r.Unit)}}
	}
	return f
}

func writableBinary(r *row, ps []exposure.Process) exposure.Finding {
	f := exposure.Finding{Rule: "world-writable-binary", Severity: exposure.High,
		Title: "others may change or replace its program",
	}
	for _, p := range ps {
		f.Because = append(f.Because, fmt.Sprintf("%s (%s[%d]): %s", p.Exe, p.Name, p.PID, p.WritableWhy))
		at := orElse(p.WritablePath, p.Exe)
		if at != "" && !p.Deleted {
			f.Fix = append(f.Fix, exposure.Fix{What: "compare the program with its package first, then take the right to write away", Command: "chmod go-w " + shellQuote(at)})
		}
	}
	return f
}

// Folders from which no service should run, and folders where people put
// programs that they built themselves.
var (
	temporaryDirs = []string{"/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/run/lock/"}
	localDirs     = []string{"/usr/local/", "/opt/", "/srv/"}
)

func unpackagedBinary(r *row, ps []exposure.Process) exposure.Finding {
	f := exposure.Finding{Rule: "unpackaged-binary", Severity: exposure.Low,
		Title: "its program belongs to no package",
	}
	for _, p := range ps {
		f.Because = append(f.Because, fmt.Sprintf("%s (%s[%d]) is in no package; nobody updates it", p.Exe, p.Name, p.PID))
		f.Fix = append(f.Fix, exposure.Fix{What: "find out where it came from", Command: "ls -l " + shellQuote(p.Exe) + " && sha256sum " + shellQuote(p.Exe)})
	}
	switch {
	case under(ps[0].Exe, temporaryDirs):
		f.Severity = exposure.Medium
		f.Because = append(f.Because, "it runs from a folder for temporary files")
	case under(ps[0].Exe, localDirs):
		f.Severity = exposure.Info
		f.SafeBecause = append(f.SafeBecause, "that folder is where administrators install their own software")
	}
	return f
}

func under(path string, dirs []string) bool {
	for _, d := range dirs {
		if strings.HasPrefix(path, d) {
			return true
		}
	}
	return false
}
