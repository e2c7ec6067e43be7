package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host"
)

// openHistory opens the history of the state directory.
func openHistory(ctx context.Context, readOnly bool) (*history.Store, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	o := history.Options{ReadOnly: readOnly}
	if !readOnly {
		o.Clock = time.Now
	}
	s, err := history.Open(ctx, filepath.Join(dir, history.FileName), o)
	if err != nil {
		return nil, historyError(err)
	}
	return s, nil
}

// historyError says what to do next.
func historyError(err error) error {
	var said *exitError
	if err == nil || errors.As(err, &said) {
		return err
	}
	hint := "see: portreeve history --help"
	switch {
	case errors.Is(err, history.ErrUnsupported):
		hint = "save documents instead: portreeve host --json > before.json, later portreeve baseline diff before.json"
	case errors.Is(err, history.ErrNone), errors.Is(err, history.ErrNoSnapshot):
		hint = "begin one: portreeve baseline save (one look), or portreeve watch (everything from now on)"
	case errors.Is(err, history.ErrCorrupt):
		hint = "move the file away to begin anew; sqlite3 FILE .recover may save what is still readable of it"
	case errors.Is(err, history.ErrNewer):
		hint = "use the newer portreeve, or another XDG_STATE_HOME"
	case errors.Is(err, history.ErrFull):
		hint = "what was kept before is safe; free some space and repeat it"
	case errors.Is(err, history.ErrReadOnly):
		hint = "run it as the file's owner, or set XDG_STATE_HOME to a folder of your own"
	case errors.Is(err, history.ErrBusy):
		hint = "try again; see who has it open: fuser -v FILE"
	}
	return &exitError{code: exitUsage, err: err, hint: hint}
}

// hostView says with which eyes this process looks at the host. What the
// system does not tell stays unknown.
func hostView(netns string) drift.View {
	v := drift.View{Schema: drift.HostSchema, NetNS: netns, Boot: firstLine("/proc/sys/kernel/random/boot_id"), UID: uint32(max(0, os.Geteuid()))}
	v.Caps, v.Known = effectiveCaps()
	ports := strings.Fields(firstLine("/proc/sys/net/ipv4/ip_local_port_range"))
	if len(ports) == 2 {
		first, err1 := strconv.ParseUint(ports[0], 10, 16)
		last, err2 := strconv.ParseUint(ports[1], 10, 16)
		if err1 == nil && err2 == nil {
			v.FirstClient, v.LastClient = uint16(first), uint16(last)
		}
	}
	return v
}

func firstLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// effectiveCaps reads proc_pid_status(5). Capabilities of a user namespace
// other than the first (its map is the whole range) show nothing of the host.
func effectiveCaps() (uint64, bool) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	if users := strings.Fields(firstLine("/proc/self/uid_map")); len(users) != 3 || users[0] != "0" || users[1] != "0" || users[2] != "4294967295" {
		return 0, true
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return caps, err == nil
		}
	}
	return 0, false
}

// snapshotNow lists the listeners of this host, without this program's own.
func snapshotNow(ctx context.Context, netns string) (*drift.Snapshot, error) {
	snap, err := new(host.Reader).Snapshot(ctx, host.Options{NetNS: netns, Namer: serviceName()})
	if err != nil {
		return nil, hostError(err)
	}
	out := &drift.Snapshot{Snapshot: snap, View: hostView(netns)}
	out.Taken, out.Host = snap.Taken.UTC(), hostname()
	out.Sockets = withoutOwn(out.Sockets)
	return out, nil
}

// parseSince reads a duration that counts back from now (90m, 12h, 7d, 2w), a
// date or a time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, ok := parseSpan(text); ok {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, usage("write it as 90m, 12h, 7d, 2w, 2026-03-01 or 2026-03-01T12:00", "--since %q is no time", text)
}

// parseSpan reads Go's durations, and days and weeks.
func parseSpan(text string) (time.Duration, bool) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, d > 0
	}
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.ParseFloat(number, 64)
			d := n * float64(unit)
			return time.Duration(d), err == nil && d > 0 && d < float64(100*365*24*time.Hour)
		}
	}
	return 0, false
}

// localTime is a time for people, in their own zone.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
