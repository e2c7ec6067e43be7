package osguess

import (
	"slices"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Banners as programs write them name their system.
func TestBanners(t *testing.T) {
	rules, err := parseBanners(bannerText)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		service exposure.Service
		want    string
	}{
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"}, "Debian GNU/Linux 12"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_8.4p1 Debian-5"}, "Debian GNU/Linux 11"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5"}, "Ubuntu 24.04"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10"}, "Ubuntu 22.04"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_9.5 FreeBSD-20231004"}, "FreeBSD"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_for_Windows_8.1"}, "Windows 10/Server 2019 or later"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-Cisco-1.25"}, "Cisco IOS"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-ROSSSH"}, "MikroTik RouterOS"},
		{exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_9.9"}, ""},
		{exposure.Service{Name: "http", Banner: "HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/10.0\r\n"}, "Windows 10/Server 2016 or later"},
		{exposure.Service{Name: "http", Product: "Microsoft IIS httpd", Version: "8.5"}, "Windows 8.1/Server 2012 R2"},
		{exposure.Service{Name: "http", Banner: "HTTP/1.1 200 OK\r\nServer: Apache/2.4.41 (Ubuntu)\r\n"}, "Ubuntu Linux"},
		{exposure.Service{Name: "http", Banner: "Server: Apache/2.4.57 (Debian)"}, "Debian GNU/Linux"},
		{exposure.Service{Name: "http", Banner: "Server: Apache/2.4.37 (AlmaLinux)"}, "AlmaLinux"},
		{exposure.Service{Name: "http", Banner: "Server: Apache/2.4.6 (CentOS) OpenSSL/1.0.2k-fips"}, "CentOS Linux"},
		{exposure.Service{Name: "http", Banner: "Server: Apache/2.4.58 (Win64)"}, "Windows"},
		{exposure.Service{Name: "http", Banner: "Server: nginx/1.24.0"}, ""},
		{exposure.Service{Name: "http", Banner: "Server: nginx/1.24.0 (Ubuntu)"}, "Ubuntu Linux"},
		{exposure.Service{Name: "smtp", Banner: "220 mail.example.org ESMTP Postfix (Debian/GNU)"}, "Debian GNU/Linux"},
		{exposure.Service{Name: "smtp", Banner: "220 mx Microsoft ESMTP MAIL Service ready"}, "Windows Server"},
		{exposure.Service{Name: "mysql", Version: "10.11.6-MariaDB-0+deb12u1"}, "Debian GNU/Linux 12"},
		{exposure.Service{Name: "mysql", Version: "8.0.36-0ubuntu0.22.04.1"}, "Ubuntu 22.04"},
		{exposure.Service{Name: "snmp", Info: "Linux gw 5.10.0-8-amd64 #1 SMP"}, "Linux 5.10"},
		{exposure.Service{Name: "snmp", Info: "Hardware: Intel64 - Software: Windows Version 6.3 (Build 17763)"}, "Windows NT 6.3"},
		{exposure.Service{Name: "snmp", Info: "Cisco IOS Software, C2960 Software, Version 12.2(55)SE"}, "Cisco IOS 12.2"},
		{exposure.Service{Name: "microsoft-ds", Product: "Windows Server 2019 Standard"}, "Windows Server 2019"},
		{exposure.Service{Name: "microsoft-ds", Product: "Samba smbd", Version: "4.17.12-Debian"}, "Debian GNU/Linux"},
		{exposure.Service{Name: "http", Banner: "Server: HP HTTP Server; HP LaserJet 400"}, "HP printer"},
		{exposure.Service{Name: "ssh", CPE: "cpe:/o:linux:linux_kernel"}, "Linux"},
		{exposure.Service{}, ""},
	} {
		if got := rules.read([]exposure.Service{c.service}); (len(got) == 0) != (c.want == "") || len(got) == 1 && got[0].name != c.want {
			t.Errorf("%+v: want %q, got %+v", c.service, c.want, got)
		}
	}
}

func combined(t *testing.T, stack []exposure.OSGuess, services ...exposure.Service) []exposure.OSGuess {
	t.Helper()
	table := ownTable(t)
	rules, err := parseBanners(bannerText)
	if err != nil {
		t.Fatal(err)
	}
	var all []guess
	for _, g := range stack {
		all = append(all, guess{g, table.familyOf(g.Name)})
	}
	return table.combine(append(all, claims(rules.read(services))...))
}

var (
	debian = exposure.Service{Name: "ssh", Banner: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"}
	iis    = exposure.Service{Name: "http", Banner: "Server: Microsoft-IIS/10.0"}
	kernel = exposure.OSGuess{Name: "Linux 4.x–6.x", Accuracy: 85, Via: ViaStack}
)

// Witnesses that agree make each other more certain.
func TestAgreementRaises(t *testing.T) {
	got := combined(t, []exposure.OSGuess{kernel}, debian)
	if len(got) != 2 || got[0].Accuracy <= 85 || got[1].Accuracy <= 85 || got[0].Accuracy > certain {
		t.Errorf("%v", got)
	}
	if !slices.ContainsFunc(got, func(g exposure.OSGuess) bool { return g.Name == "Debian GNU/Linux 12" && g.Via == ViaBanner }) {
		t.Errorf("%v", got)
	}
}

// Witnesses that disagree are both kept as they were: a load balancer or a
// container may be between them.
func TestConflictIsKept(t *testing.T) {
	got := combined(t, []exposure.OSGuess{kernel}, iis)
	want := []exposure.OSGuess{{Name: "Linux 4.x–6.x", Accuracy: 85, Via: ViaStack}, {Name: "Windows 10/Server 2016 or later", Accuracy: 85, Via: ViaBanner}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// A database that looked at the same packets is no second witness for the own
// table, and a crowd of banners does not push the headers off the list.
func TestWitnessesAreIndependent(t *testing.T) {
	other := exposure.OSGuess{Name: "Linux 3.x", Accuracy: 85, Via: "p0f"}
	if got := combined(t, []exposure.OSGuess{kernel, other}); got[0].Accuracy != 85 || got[1].Accuracy != 85 {
		t.Errorf("%v", got)
	}
	weak := exposure.OSGuess{Name: "NetBSD", Accuracy: 60, Via: ViaStack}
	crowd := []exposure.Service{debian, iis}
	for _, banner := range []string{"(AlmaLinux)", "(CentOS)", "(FreeBSD)", "(Fedora)", "(Win32)"} {
		crowd = append(crowd, exposure.Service{Name: "http", Banner: banner})
	}
	got := combined(t, []exposure.OSGuess{weak}, crowd...)
	if len(got) != maxGuesses || !slices.ContainsFunc(got, func(g exposure.OSGuess) bool { return g.Via == ViaStack }) {
		t.Errorf("%v", got)
	}
}
