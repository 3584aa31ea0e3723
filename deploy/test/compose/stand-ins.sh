#!/usr/bin/env bash
# Stands in for images that can neither be found nor pulled, so that the containers are also tested where there is
# no registry: stand-ins.sh IMAGE…
#
# A stand-in has the programs of its image where they are expected, built from this repository's Go modules or taken
# from Debian's packages, in Debian's version; nothing is installed on this machine for it. Its label fanfare.stand-in
# says of what it was made, and when that has changed it is made anew. An image without that label is a real one, and
# is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

readonly label=fanfare.stand-in
readonly pull_time=120 # s, for a real image

work=$(mktemp -d)
readonly work
root=$work/root
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

# A stand-in is a folder, root, and what to say of it in a Dockerfile's words, changes.
golang() { # Go's compiler, git, a shell, and the modules that a build downloads, as a proxy
	local -r modules=$work/modules
	debian git ca-certificates
	busybox
	cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
	mkdir -p "$root/usr/local/go" "$root/go" "$root/modules"
	tar -c -C "$(go env GOROOT)" --exclude=./test --exclude=./api --exclude=./doc . | tar -x -C "$root/usr/local/go"
	GOMODCACHE=$modules GOPROXY=file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY) GOFLAGS=-modcacherw go mod download
	tar -c -C "$modules/cache/download" . | tar -x -C "$root/modules"
	changes=('ENV GOTOOLCHAIN=local' 'ENV GOPATH=/go' 'ENV GOPROXY=file:///modules' 'WORKDIR /go')
}

nats() { # nats-server and a shell
	CGO_ENABLED=0 go build -ldflags '-s -w' -o "$root/usr/local/bin/" github.com/nats-io/nats-server/v2
	busybox
	changes=('ENTRYPOINT ["nats-server"]')
}

prometheus() { # Prometheus, without the ways to find targets that are not used here, and a shell
	(cd deploy/test && CGO_ENABLED=0 go build -ldflags '-s -w' -tags remove_all_sd,enable_dns_sd \
		-o "$root/bin/" github.com/prometheus/prometheus/cmd/prometheus)
	busybox
	mkdir -m 1777 "$root/prometheus" # a new volume takes over the mode
	changes=('USER 65534' 'ENTRYPOINT ["/bin/prometheus"]')
}

haproxy() { # HAProxy and a shell. The version is Debian's, not the image's
	debian haproxy
	busybox
	changes=('CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]')
}

# Unpack Debian packages, and all that they need, as they are: no script of theirs runs.
debian() {
	local -r apt=$work/apt
	mkdir -p "$apt/archives/partial"
	: >"$work/nothing-is-installed"
	((EUID)) || apt-get -qq update || true # older lists may do
	apt-get -qq -y -o "Dir::State::status=$work/nothing-is-installed" -o "Dir::Cache=$apt" -o Debug::NoLocking=1 -o APT::Sandbox::User= \
		--no-install-recommends --download-only install "$@" >/dev/null
	for package in "$apt"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --exclude=./usr/share/{doc,man,locale}
		rm "$package"
	done
}

# Add a shell, and every program of BusyBox's that is not there by itself.
busybox() {
	local program
	mkdir -p "$root/bin" "$root/etc" "$root/tmp"
	chmod 1777 "$root/tmp"
	[[ -e $work/busybox ]] || fetch_busybox
	cp "$work/busybox" "$root/bin/busybox"
	for program in $("$root/bin/busybox" --list); do
		[[ -e $root/bin/$program || -e $root/usr/bin/$program ]] || ln -s busybox "$root/bin/$program"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
}

fetch_busybox() {
	local root=$work/fetched
	mkdir "$root"
	debian busybox-static
	mv "$root/bin/busybox" "$work/busybox"
	rm -rf "$root"
}

# Say of what a stand-in is made. Of Debian's packages, the release says enough.
ingredients() { # NAME
	declare -f "$1" debian busybox fetch_busybox stand_in
	go version
	cat /etc/debian_version
	case $1 in
	golang) cat go.sum ;;
	nats) go list -m github.com/nats-io/nats-server/v2 ;;
	prometheus) (cd deploy/test && go list -m github.com/prometheus/prometheus) ;;
	esac
}

stand_in() { # IMAGE NAME MADE-OF
	local -r path=PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	local changes=() change args=() old
	old=$(docker image inspect --format '{{.Id}}' "$1" 2>/dev/null) || true
	mkdir -p "$root"
	"$2"
	for change in "LABEL $label=$3" "ENV $path" "${changes[@]}"; do
		args+=(--change "$change")
	done
	tar -c -C "$root" --owner=0 --group=0 --numeric-owner . | docker import "${args[@]}" - "$1" >/dev/null
	chmod -R u+w "$root" && rm -rf "$root"
	[[ -z $old ]] || docker image rm "$old" >/dev/null || true # somebody uses it still
}

main() {
	local image name made_of is
	for image in "$@"; do
		name=${image##*/}
		name=${name%%:*}
		[[ $(type -t "$name") == function ]] || { echo "nothing stands in for $image" >&2 && exit 2; }
		made_of=$(ingredients "$name" | sha256sum | cut -c 1-16)
		if is=$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$image" 2>/dev/null); then
			[[ -n $is ]] || { echo "$image is here" && continue; }
			[[ $is != "$made_of" ]] || { echo "$image has a stand-in" && continue; }
		elif timeout "$pull_time" docker pull -q "$image" >/dev/null 2>&1; then
			echo "$image was pulled" && continue
		fi
		stand_in "$image" "$name" "$made_of"
		echo "$image cannot be pulled here: a stand-in was made"
	done
}

main "$@"
