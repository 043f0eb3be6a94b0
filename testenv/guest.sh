#!/bin/sh
# Init of a guest. Its root is the host's, read-only. Files that it must write are on a tmpfs. It
# runs the scripts that appear in its folder, one after the other. A process costs a guest some 30
# ms, so loops that wait start none where they can.
[ $$ = 1 ] || { echo "this runs as a guest's init only" >&2; exit 1; }
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
mkdir -p /dev/pts /dev/net /run/lock /run/m/lib /mnt/log /mnt/io
mount -t devpts devpts /dev/pts
cp -a /etc/ppp /etc/xl2tpd /mnt
rm -r /mnt/ppp/ip* # scripts for interfaces that come and go
mount --bind /mnt/ppp /etc/ppp
mount --bind /mnt/xl2tpd /etc/xl2tpd
mount --bind /mnt/log /var/log
mount -t hostfs none /mnt/io -o "@DIR@"
ln -s /usr/lib/uml/modules /run/m/lib/modules
for module in ppp_generic ppp_async ppp_mppe l2tp_ppp ipv6; do modprobe -d /run/m "$module"; done
echo > /proc/sys/kernel/modprobe # no search for the other modules that pppd asks for: they do not exist
ip link set lo up
ip addr add @ADDRESS@/24 dev vec0
ip link set vec0 up
server=@SERVER@

# code SECRET PIN [SECONDS]: prints the one-time password of now, on a clock that is SECONDS ahead.
code() { printf %s "$(( ($(date +%s) + ${3:-0}) / 10 ))$1$2" | md5sum | cut -c1-6; }

# up: reports whether the interface ppp$unit is up. pppd sets its address first.
up() { read -r flags 2>/dev/null < "/sys/class/net/ppp${unit:-0}/flags" && [ $((flags & 1)) = 1 ]; }

# pptp USER PASSWORD [OPTION...]: dials and waits until the link is up (status 0) or over (1). The
# interface is ppp$unit, 0 if unset. pppd's log is /run/pppd$unit. $servers has the lines of
# chap-secrets for servers that authenticate themselves.
pptp() {
	user=$1 password=$2
	shift 2
	printf '"%s" * "%s" *\n%s\n' "$user" "$password" "$servers" > /etc/ppp/chap-secrets
	cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets
	: > "/run/pppd${unit:-0}"
	pppd nodetach debug noauth user "$user" remotename vpnd nodefaultroute noipdefault unit "${unit:-0}" \
		pty "pptp $server --nolaunchpppd" logfile "/run/pppd${unit:-0}" "$@" >/dev/null 2>&1 &
	pppd=$!
	echo $pppd > "/run/pppd${unit:-0}.pid"
	waited=0
	while kill -0 $pppd 2>/dev/null && [ $waited -lt 300 ]; do
		if up; then sleep 0.1; return 0; fi # pppd lets packets pass a moment later
		waited=$((waited + 1))
		sleep 0.1
	done
	kill $pppd 2>/dev/null
	wait $pppd
	echo "pppd's status: $?"
	return 1
}

# l2tp USER PASSWORD [OPTION...]: does the same by L2TP, with xl2tpd, whose own log is
# /run/xl2tpd.log. $lac has lines of its configuration for the server. It gives up after $patience
# tenths of a second at the latest.
l2tp() {
	user=$1 password=$2
	shift 2
	printf '"%s" * "%s" *\n' "$user" "$password" > /etc/ppp/chap-secrets
	cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets
	printf '* * %s\n' "${secret:-none}" > /etc/xl2tpd/l2tp-secrets
	{ echo "[lac vpnd]"; echo "lns = $server"; echo "pppoptfile = /etc/ppp/options.l2tp"; echo "redial = no"; echo "$lac"; } > /etc/xl2tpd/xl2tpd.conf
	printf '%s\n' "user $user" noauth nodefaultroute noipdefault debug "remotename vpnd" "logfile /run/pppd0" > /etc/ppp/options.l2tp
	for option; do echo "$option"; done >> /etc/ppp/options.l2tp
	: > /run/pppd0
	mkdir -p /run/xl2tpd
	waited=0
	while [ -e /sys/class/net/ppp0 ] && [ $waited -lt 50 ]; do waited=$((waited + 1)); sleep 0.1; done
	rm -f /run/xl2tpd/l2tp-control
	xl2tpd -D -p /run/xl2tpd/pid -C /run/xl2tpd/l2tp-control > /run/xl2tpd.log 2>&1 &
	waited=0
	while [ ! -p /run/xl2tpd/l2tp-control ] && [ $waited -lt 50 ]; do waited=$((waited + 1)); sleep 0.1; done
	echo "c vpnd" > /run/xl2tpd/l2tp-control
	waited=0
	while [ $waited -lt "${patience:-200}" ]; do
		if up; then sleep 0.1; return 0; fi # pppd lets packets pass a moment later
		if [ $((waited % 5)) = 4 ] && grep -q 'Connection terminated\|Modem hangup\|closing, reason\|Connection closed to\|Call is closed\|Maximum retries' /run/pppd0 /run/xl2tpd.log; then break; fi
		waited=$((waited + 1))
		sleep 0.1
	done
	l2tp_end
	return 1
}

# l2tp_hangup: ends the call and the tunnel properly. It kills pppd, which would also say good-bye
# and wait six seconds for an answer that can no longer come through the tunnel.
l2tp_hangup() {
	echo "d vpnd" > /run/xl2tpd/l2tp-control
	waited=0
	while ! grep -q "Terminating pppd" /run/xl2tpd.log && [ $waited -lt 100 ]; do waited=$((waited + 1)); sleep 0.1; done
	killall -9 pppd 2>/dev/null
	l2tp_end
}

# l2tp_end: ends xl2tpd and its pppd, and waits until both have ended.
l2tp_end() {
	pid=$(cat /run/xl2tpd/pid)
	kill "$pid" 2>/dev/null
	waited=0
	while { kill -0 "$pid" 2>/dev/null || [ -e /sys/class/net/ppp0 ]; } && [ $waited -lt 100 ]; do
		waited=$((waited + 1))
		[ $waited = 30 ] && killall -9 xl2tpd pppd 2>/dev/null
		sleep 0.1
	done
	[ $waited -lt 100 ]
}

# serve [OPTION...]: writes the options of the pppd of a server in this guest, with the inner
# address 10.88.0.1. $users has the users that it lets in, as lines of chap-secrets. pppd's log is
# /run/pppd-server.
serve() {
	printf '%s\n' "$users" > /etc/ppp/chap-secrets
	cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets
	printf '%s\n' "name vpnd" debug auth nodefaultroute "ms-dns 10.88.0.53" "logfile /run/pppd-server" > /etc/ppp/options.server
	for option; do echo "$option"; done >> /etc/ppp/options.server
	: > /run/pppd-server
}

# serve_pptp [OPTION...]: starts pptpd with that pppd.
serve_pptp() {
	serve "$@"
	pkill pptpd; while pidof pptpd >/dev/null; do sleep 0.05; done
	printf '%s\n' "option /etc/ppp/options.server" "localip 10.88.0.1" "remoteip 10.88.0.10-20" > /run/pptpd.conf
	pptpd --fg --conf /run/pptpd.conf > /run/pptpd.log 2>&1 &
	listening tcp 1723
}

# serve_l2tp [OPTION...]: starts xl2tpd with that pppd. Its log is /run/xl2tpd.log. $lns has lines
# of its configuration, and $secret has the tunnel's secret.
serve_l2tp() {
	serve "$@"
	pkill xl2tpd; while pidof xl2tpd >/dev/null; do sleep 0.05; done
	printf '* * %s\n' "${secret:-none}" > /etc/xl2tpd/l2tp-secrets
	{ echo "[lns default]"; echo "ip range = 10.88.0.10-10.88.0.20"; echo "local ip = 10.88.0.1"; echo "pppoptfile = /etc/ppp/options.server"; echo "$lns"; } > /etc/xl2tpd/xl2tpd.conf
	mkdir -p /run/xl2tpd
	xl2tpd -D -p /run/xl2tpd/pid -C /run/xl2tpd/l2tp-control > /run/xl2tpd.log 2>&1 &
	listening udp 1701
}

# listening tcp|udp PORT: waits until a server listens.
listening() {
	waited=0
	while ! ss -Hln --"$1" "sport = :$2" | grep -q .; do
		waited=$((waited + 1))
		[ $waited -lt 100 ] || return 1
		sleep 0.1
	done
}

# hangup: ends the dial-in properly and waits until it has ended.
hangup() {
	pid=$(cat "/run/pppd${unit:-0}.pid")
	kill -TERM "$pid" 2>/dev/null
	waited=0
	while kill -0 "$pid" 2>/dev/null && [ $waited -lt 100 ]; do waited=$((waited + 1)); sleep 0.1; done
	! kill -0 "$pid" 2>/dev/null
}

# gone: waits until pppd has ended by itself.
gone() {
	pid=$(cat "/run/pppd${unit:-0}.pid")
	waited=0
	while kill -0 "$pid" 2>/dev/null && [ $waited -lt 300 ]; do waited=$((waited + 1)); sleep 0.1; done
	! kill -0 "$pid" 2>/dev/null
}

# pptp_end: waits until pppd has ended by itself. It first kills a pptp that hangs: pptp takes locks
# in its signal handler, and about once in 200 times it holds them already.
pptp_end() { gone || { killall -9 pptp; gone; }; }

# address: prints the address of ppp$unit.
address() { ip -4 addr show "ppp${unit:-0}" | sed -n 's/.*inet \([0-9.]*\) .*/\1/p'; }

n=0
while :; do
	if [ -e "/mnt/io/$n.sh" ]; then
		echo "GUEST-BEGIN $n"
		. "/mnt/io/$n.sh"
		echo "GUEST-END $n $?"
		n=$((n + 1))
	else
		sleep 0.05
	fi
done
