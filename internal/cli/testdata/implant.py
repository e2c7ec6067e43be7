# Plays an implant for the tests: answers SYNs to one port from a packet socket
# on every interface, without any listener.
import socket
import struct
import sys

PORT = int(sys.argv[1])


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def answer(ip, tcp):
    src, dst = ip[12:16], ip[16:20]
    sport, dport, seq = struct.unpack("!HHI", tcp[:8])
    reply = struct.pack("!HHIIBBHHH", dport, sport, 1000, (seq + 1) & 0xFFFFFFFF, 5 << 4, 0x12, 64240, 0, 0)
    pseudo = dst + src + struct.pack("!BBH", 0, 6, len(reply))
    reply = reply[:16] + struct.pack("!H", checksum(pseudo + reply)) + reply[18:]
    raw.sendto(reply, (socket.inet_ntoa(src), 0), dst)


class Raw:
    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def sendto(self, tcp, to, src):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, src, socket.inet_aton(to[0]))
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.sock.sendto(head + tcp, to)


sniff = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
raw = Raw()
print("ready", flush=True)
while True:
    packet, where = sniff.recvfrom(65535)
    if where[2] == 4 or len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != 6:
        continue
    tcp = packet[(packet[0] & 15) * 4 :]
    if struct.unpack("!H", tcp[2:4])[0] == PORT and tcp[13] & 0x3F == 2:
        answer(packet, tcp)
