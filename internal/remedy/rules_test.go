package remedy

const web = `table inet portreeve {
	chain input {
		type filter hook input priority 10; policy drop;
		ct state established,related accept
		ct state invalid drop
		iif lo accept
		tcp dport { 22, 80, 443 } accept
		meta l4proto { icmp, icmpv6 } accept
	}
	chain forward {
		type filter hook forward priority 10; policy drop;
	}
}
`

const webSave = `*filter
:PORTREEVE-INPUT - [0:0]
:PORTREEVE-FORWARD - [0:0]
-A PORTREEVE-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A PORTREEVE-INPUT -i lo -j ACCEPT
-A PORTREEVE-INPUT -p tcp -m multiport --dports 22,80,443 -j ACCEPT
-A PORTREEVE-INPUT -j DROP
-A PORTREEVE-FORWARD -j DROP
COMMIT
`
