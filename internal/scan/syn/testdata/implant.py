"""A program that opens no port: it reads a packet socket and answers SYNs to
one port with a SYN-ACK of its own, as packet-socket backdoors do.

usage: implant.py PORT all|filter DELAY_MS
"""
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def filter_port(sock, port):
    """Accept IPv4 and IPv6 TCP to one port, as `tcpdump -dd` compiles it."""
    prog = [
        (0x28, 0, 0, 12),
        (0x15, 0, 4, 0x86DD),
        (0x30, 0, 0, 20),
        (0x15, 0, 9, 6),
        (0x28, 0, 0, 56),
        (0x15, 6, 7, port),
        (0x15, 0, 6, 0x800),
        (0x30, 0, 0, 23),
        (0x15, 0, 4, 6),
        (0xB1, 0, 0, 14),
        (0x48, 0, 0, 16),
        (0x15, 0, 1, port),
        (0x6, 0, 0, 0x40000),
        (0x6, 0, 0, 0),
    ]
    code = b"".join(struct.pack("HBBI", *i) for i in prog)
    import ctypes

    buf = ctypes.create_string_buffer(code)
    fprog = struct.pack("HL", len(prog), ctypes.addressof(buf))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def reply(frame, port):
    """The SYN-ACK for a frame that is a SYN to the port, else None."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == 6:
        start = 14 + (frame[14] & 15) * 4
        src, dst = frame[26:30], frame[30:34]
    elif kind == b"\x86\xdd" and frame[20] == 6:
        start = 54
        src, dst = frame[22:38], frame[38:54]
    else:
        return None
    sport, dport, seq = struct.unpack("!HHI", frame[start : start + 8])
    if dport != port or frame[start + 13] & 0x12 != 0x02:
        return None
    ack = (seq + 1) & 0xFFFFFFFF
    tcp = struct.pack("!HHIIBBHHH", dport, sport, 0x1000, ack, 0x50, 0x12, 64240, 0, 0)
    pseudo = dst + src + struct.pack("!HH", 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    if len(src) == 4:
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, dst, src)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        ip = struct.pack("!IHBB16s16s", 6 << 28, 20, 6, 64, dst, src)
    return frame[6:12] + frame[0:6] + kind + ip + tcp


def main():
    port, mode, delay = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    if mode == "filter":
        filter_port(sock, port)
    print("ready", flush=True)
    while True:
        frame, addr = sock.recvfrom(2048)
        answer = reply(frame, port)
        if answer is None:
            continue
        if delay:
            time.sleep(delay)
        sock.sendto(answer, (addr[0], 0))


main()
