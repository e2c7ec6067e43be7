package closing

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/remedy"
)

const (
	dbSocket  = "[Socket]\nListenStream=0.0.0.0:7101\n[Install]\nWantedBy=sockets.target\n"
	dbService = "[Unit]\nDescription=db\n[Service]\nExecStart=x 0.0.0.0:7102\n[Install]\nWantedBy=multi-user.target\n"
	appUnit   = "[Unit]\nRequires=db.service\n[Service]\nExecStart=x 0.0.0.0:7103\n[Install]\nWantedBy=multi-user.target\n"
	helper    = "[Service]\nExecStart=x 0.0.0.0:7104\n" // static
	wants     = "[Unit]\nWants=helper.service\n[Install]\nWantedBy=multi-user.target\n"
)

func unitLab(t *testing.T) (*lab, *fakeSystemd) {
	t.Helper()
	l := newLab(t)
	f := l.systemd(map[string]string{"lib/db.socket": dbSocket, "lib/db.service": dbService, "lib/app.service": appUnit, "lib/helper.service": helper, "lib/wants.service": wants})
	l.ctl("enable", "db.socket", "app.service", "wants.service")
	l.ctl("start", "db.socket", "app.service", "wants.service")
	l.await("tcp/*:7101 tcp/*:7102 tcp/*:7103 tcp/*:7104")
	return l, f
}

// A unit, its socket unit and what needs it: all named before, all as before
// after.
func TestUnits(t *testing.T) {
	t.Parallel()
	l, f := unitLab(t)
	before := f.dump(t)
	a := l.must(order{What: "close", Ports: tcp(7101)})
	l.await("tcp/*:7104")
	if c := a.Plan.Closures[0]; c.Unit != "db.service" || c.Socket != "db.socket" || c.How != Stop {
		t.Errorf("%+v", c)
	}
	if got := a.Plan.Steps[0].Commands; !slices.Equal(got, []string{"systemctl stop -- db.socket db.service", "systemctl disable -- db.socket", "systemctl mask -- db.service"}) {
		t.Errorf("%q", got)
	}
	if !slices.Contains(a.Plan.Breaks, "app.service is stopped with it, because it needs db.socket or db.service") {
		t.Errorf("%q", a.Plan.Breaks)
	}
	if want := []string{"tcp/[::]:7102", "tcp/[::]:7103"}; !slices.Equal(a.Plan.Also, want) {
		t.Errorf("also %v", a.Plan.Also)
	}
	l.must(order{What: "undo"})
	if got := f.dump(t); got != before {
		t.Errorf("not as before:\n%s\nbefore:\n%s", got, before)
	}
	l.await("tcp/*:7101 tcp/*:7102 tcp/*:7103 tcp/*:7104")
}

// A static unit that another pulls in is masked; an enabled one is not.
func TestPulledInIsMasked(t *testing.T) {
	t.Parallel()
	l, f := unitLab(t)
	before := f.dump(t)
	l.must(order{What: "close", Ports: tcp(7104)})
	if got := f.enabled("helper.service"); got != "masked" {
		t.Errorf("helper is %s", got)
	}
	l.must(order{What: "undo"})
	if got := f.dump(t); got != before {
		t.Errorf("not as before:\n%s\nbefore:\n%s", got, before)
	}
	a := l.must(order{What: "close", Ports: tcp(7103)})
	if s := a.Plan.Steps[0].Units; len(s.Mask) > 0 || !slices.Equal(s.Disable, []string{"app.service"}) {
		t.Errorf("%+v", s)
	}
}

// Somebody edited the unit since: nothing is undone, the difference is told;
// with the change kept, the edited unit is started.
func TestUnitEditedSince(t *testing.T) {
	t.Parallel()
	l, f := unitLab(t)
	l.must(order{What: "close", Ports: tcp(7103)})
	at := filepath.Join(f.dir, "lib/app.service")
	if err := os.WriteFile(at, []byte(strings.Replace(appUnit, "[Service]", "[Service]\nNice=5", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	a := l.do(order{What: "undo"})
	if a.Reason != remedy.Changed || len(a.Diffs) != 1 || a.Diffs[0].Path != at || !slices.Contains(a.Diffs[0].Lines, "+Nice=5") {
		t.Errorf("%+v", a)
	}
	if f.active("app.service") == "active" {
		t.Error("it was started")
	}
	l.must(order{What: "undo", Keep: true})
	if f.active("app.service") != "active" {
		t.Error("it was not started")
	}
}
