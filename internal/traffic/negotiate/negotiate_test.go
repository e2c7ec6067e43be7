package negotiate

import "testing"

func TestConversations(t *testing.T) {
	for _, c := range conversations() {
		t.Run(c.name, func(t *testing.T) {
			heard(c.said...).wants(t, c.flows)
		})
	}
}

func TestTablesAreRead(t *testing.T) {
	got, err := readTables()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.interfaces) < 60 || len(got.programs) < 50 || got.kind(protoTCP, 21) != ftp || got.kind(protoUDP, 21) != noKind {
		t.Errorf("%d interfaces, %d programs", len(got.interfaces), len(got.programs))
	}
}
