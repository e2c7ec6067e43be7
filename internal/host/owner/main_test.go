package owner

import (
	"os"
	"testing"
)

// playVariable makes a copy of the test program play a part instead.
const playVariable = "OWNER_TEST_PLAY"

func TestMain(m *testing.M) {
	if part, ok := parts[os.Getenv(playVariable)]; ok {
		part()
		return
	}
	os.Exit(m.Run())
}

// parts are filled by the files for the systems that have them.
var parts = map[string]func(){}
