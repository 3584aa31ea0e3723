package media

import (
	"net/http"
	"strings"
)

// hostileTargets spells addresses that a redirect must not lead to.
func hostileTargets() []string {
	return []string{
		"http://127.0.0.2:9/", "//10.0.0.1/", "https://[::1]/", "http://[::ffff:192.168.0.1]/", "http://[64:ff9b::a9fe:a9fe]/",
		"http://169.254.169.254/latest/meta-data/", "http://[2002:7f00:1::1]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
		"http://172.16.0.1:80/", "http://100.64.0.1/", "http://[fd00:ec2::254]/", "http://0.0.0.0/",
	}
}

func hostileRedirects() []hostileCase {
	cases := []hostileCase{
		{name: "redirect loop", handler: func(w http.ResponseWriter, r *http.Request) {
			status(http.StatusFound, "Location", r.URL.String())(w, r)
		}, reason: ReasonRedirect},
		{name: "redirect nowhere", handler: status(302), reason: ReasonRedirect},
		{name: "redirect to no URL", handler: status(302, "Location", "http://[::1"), reason: ReasonRedirect},
		{name: "redirect to a file", handler: status(302, "Location", "file:///etc/passwd?"+secret), reason: ReasonRedirect},
		{name: "redirect with a password", handler: status(302, "Location", "http://u:"+secret+"@127.0.0.1/"), reason: ReasonRedirect},
		{name: "redirect to loopback", handler: status(302, "Location", "http://127.0.0.2:9/?"+secret), reason: ReasonRefusedAddress},
		{name: "redirect to a private address", handler: status(307, "Location", "//10.0.0.1/?"+secret), reason: ReasonRefusedAddress},
		{name: "redirect with a hanging body", handler: func(w http.ResponseWriter, r *http.Request) {
			status(http.StatusFound, "Location", "http://10.0.0.1/")(w, r)
			_ = http.NewResponseController(w).Flush()
			hold(r)
		}, reason: ReasonRefusedAddress},
		{name: "redirect to a number", handler: status(302, "Location", "http://2130706433/"), reason: ReasonRedirect},
		{name: "redirect that grows", handler: func(w http.ResponseWriter, r *http.Request) {
			status(http.StatusFound, "Location", r.URL.Path+strings.Repeat("/x", 4000))(w, r)
		}, reason: ReasonRedirect},
	}
	for _, target := range hostileTargets() {
		cases = append(cases, hostileCase{
			name: "redirect to " + target, handler: status(http.StatusPermanentRedirect, "Location", target+"?"+secret), reason: ReasonRefusedAddress,
		})
	}
	return cases
}
