package accounts

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// MaxFile bounds a passwd or group file in bytes.
const MaxFile = 16 << 20

// User is one line of passwd(5).
type User struct {
	Name string
	UID  uint32
	GID  uint32
	Home string
}

// Users holds a passwd file.
type Users struct {
	byID   map[uint32]User
	byName map[string]User
}

// Groups holds a group file.
type Groups struct {
	names   map[uint32]string
	members map[uint32][]string
}

// Read reads etc/passwd and etc/group of a root. What is not there is empty.
func Read(files *rootfs.FS) (Users, Groups) {
	passwd, _ := files.ReadFile("/etc/passwd", MaxFile)
	group, _ := files.ReadFile("/etc/group", MaxFile)
	return ParseUsers(string(passwd)), ParseGroups(string(group))
}

// ParseUsers reads the text of a passwd file. Of several names for one number
// the first counts, as in getpwuid(3). Lines in another form are left out.
func ParseUsers(text string) Users {
	u := Users{byID: map[uint32]User{}, byName: map[string]User{}}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 6 || !sound(fields[0]) {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		gid, gerr := strconv.ParseUint(fields[3], 10, 32)
		if err != nil || gerr != nil {
			continue
		}
		user := User{Name: fields[0], UID: uint32(uid), GID: uint32(gid), Home: fields[5]}
		if _, known := u.byID[user.UID]; !known {
			u.byID[user.UID] = user
		}
		if _, known := u.byName[user.Name]; !known {
			u.byName[user.Name] = user
		}
	}
	return u
}

// sound keeps comments, NIS lines and empty names out.
func sound(name string) bool {
	return name != "" && name[0] != '#' && name[0] != '+' && name[0] != '-'
}

// ByID finds a user by number.
func (u Users) ByID(uid uint32) (User, bool) {
	user, ok := u.byID[uid]
	return user, ok
}

// Name gives the user's name, or the number as text.
func (u Users) Name(uid uint32) string {
	if user, ok := u.byID[uid]; ok {
		return strings.ToValidUTF8(user.Name, "\uFFFD")
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// ParseGroups reads the text of a group file. Lines in another form are left
// out.
func ParseGroups(text string) Groups {
	g := Groups{names: map[uint32]string{}, members: map[uint32][]string{}}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 4 || !sound(fields[0]) {
			continue
		}
		n, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		gid := uint32(n)
		if _, known := g.names[gid]; !known {
			g.names[gid] = fields[0]
		}
		for member := range strings.SplitSeq(fields[3], ",") {
			if member = strings.TrimSpace(member); member != "" {
				g.members[gid] = append(g.members[gid], member)
			}
		}
	}
	return g
}

// Name gives the group's name, or the number as text.
func (g Groups) Name(gid uint32) string {
	if name, ok := g.names[gid]; ok {
		return strings.ToValidUTF8(name, "\uFFFD")
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// Members lists the users of a group: those that the group file names and
// those whose own group it is. Known is false when the group is not in the
// file, so that its members are not known.
func (g Groups) Members(gid uint32, users Users) (uids []uint32, known bool) {
	if _, known = g.names[gid]; !known {
		return nil, false
	}
	for _, name := range g.members[gid] {
		user, ok := users.byName[name]
		if !ok {
			return nil, false // a user of a directory service
		}
		uids = append(uids, user.UID)
	}
	for _, user := range users.byName {
		if user.GID == gid {
			uids = append(uids, user.UID)
		}
	}
	return uids, true
}
