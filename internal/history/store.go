//go:build !aix

package history

import _ "modernc.org/sqlite" // the driver "sqlite" of database/sql
