// Package history keeps what was seen of this host in one SQLite file:
// snapshots, the lives of listeners, who used which port, which findings stood
// from when to when, and for how much of the time anybody was watching.
//
//	s, err := history.Open(ctx, filepath.Join(stateDir, history.FileName), history.Options{Clock: time.Now})
//	defer s.Close()
//	s.SaveSnapshot(ctx, "", &snap, history.SaveOptions{Baseline: true, Source: "baseline"})
//	s.Record(ctx, []history.Event{{Change: change, Source: "bpf"}})
//	s.AddUsage(ctx, minutes)
//	s.Watch(ctx, history.Watched{From: from, To: to, What: history.WatchUsage, Source: "packets"})
//	story, err := s.Port(ctx, exposure.TCP, 22, since, now)
//
// Terms. A snapshot is the host view at one moment, with the view it was taken
// by. A baseline is a snapshot that a person saved; one of them is the default
// to compare with. A life is one listener from its opening to its end. Usage
// is what one client did at one endpoint in a minute, later an hour, later a
// day. Coverage is how much of a window was really watched: without it "nobody
// came" means nothing. A finding stands from when it is raised until the same
// source no longer raises it.
//
// What is on the disk. Rows of the host view are kept once, by the SHA-256 of
// their JSON, and checked against it when they are read; a snapshot of an
// unchanged host costs some hundred bytes. Retention bounds everything that
// nobody saved by hand.
//
// Safety. Every method is one transaction: all of it is kept, or nothing. A
// commit is on the disk before the method returns (write-ahead log,
// synchronous=FULL), so that neither kill -9 nor a loss of power takes it back.
// Readers never wait. Writers wait for each other, up to Options.Busy.
//
// Locking. A Store may be used by several goroutines and the file by several
// processes. Nothing else in the process may open and close the file: fcntl
// locks are lost with any descriptor of it.
//
// It never repairs or moves a damaged file: that is the person's to decide. It
// never reads a clock but the one it is given.
package history
