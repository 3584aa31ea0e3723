package kubernetes_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peer is who talks or is talked to: a pod, or an address outside of the cluster.
type peer struct {
	workload  *workload // nil: none of ours
	namespace map[string]string
	pod       map[string]string
	address   string
}

func namespace(name string, more map[string]string) map[string]string {
	all := map[string]string{"kubernetes.io/metadata.name": name}
	maps.Copy(all, more)
	return all
}

// peerOf returns who goes by a name in the table below.
func (c *cluster) peerOf(tb testing.TB, name string) peer {
	tb.Helper()
	if w := c.workload(name); w != nil {
		return peer{workload: w, namespace: namespace("fanfare", nil), pod: w.pod.Labels}
	}
	others := map[string]peer{
		"ingress controller": {namespace: namespace("traefik", map[string]string{"fanfare/ingress": "true"})},
		"Prometheus":         {namespace: namespace("monitoring", nil)},
		"own service":        {namespace: namespace("shop", nil), pod: map[string]string{"fanfare/nats-client": "true"}},
		"stranger":           {namespace: namespace("shop", nil)},
		"neighbour":          {namespace: namespace("fanfare", nil)},
		"DNS":                {namespace: namespace("kube-system", nil)},
	}
	if p, ok := others[name]; ok {
		return p
	}
	if _, err := netip.ParseAddr(name); err != nil {
		tb.Fatalf("nobody goes by the name %s", name)
	}
	return peer{address: name}
}

// allowed plays a network plugin: a pod that some policy of a direction selects may do
// what these policies say together, and any other may do everything.
func (c *cluster) allowed(tb testing.TB, from, to peer, port int32) bool {
	tb.Helper()
	return c.side(tb, networkingv1.PolicyTypeEgress, from, to, to, port) && c.side(tb, networkingv1.PolicyTypeIngress, to, from, to, port)
}

// side looks at one direction: self is whom the policies select, other is at its other
// end, and the port is on target.
func (c *cluster) side(tb testing.TB, direction networkingv1.PolicyType, self, other, target peer, port int32) bool {
	tb.Helper()
	if self.namespace["kubernetes.io/metadata.name"] != "fanfare" {
		return true // its own namespace's business
	}
	selected := false
	for _, policy := range all[*networkingv1.NetworkPolicy](c) {
		if !slices.Contains(policy.Spec.PolicyTypes, direction) || !matches(tb, &policy.Spec.PodSelector, self.pod) {
			continue
		}
		selected = true
		for _, rule := range rules(policy, direction) {
			if rule.opens(tb, other, target, port) {
				return true
			}
		}
	}
	return !selected
}

// rule is an ingress or an egress rule.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rules(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) (all []rule) {
	if direction == networkingv1.PolicyTypeEgress {
		for _, r := range policy.Spec.Egress {
			all = append(all, rule{r.To, r.Ports})
		}
		return all
	}
	for _, r := range policy.Spec.Ingress {
		all = append(all, rule{r.From, r.Ports})
	}
	return all
}

func (r rule) opens(tb testing.TB, other, target peer, port int32) bool {
	tb.Helper()
	return slices.ContainsFunc(r.peers, func(p networkingv1.NetworkPolicyPeer) bool { return is(tb, p, other) }) &&
		slices.ContainsFunc(r.ports, func(p networkingv1.NetworkPolicyPort) bool { return covers(p, target, port) })
}

func is(tb testing.TB, p networkingv1.NetworkPolicyPeer, other peer) bool {
	tb.Helper()
	if p.IPBlock != nil {
		return other.address != "" && within(tb, p.IPBlock, netip.MustParseAddr(other.address))
	}
	if other.address != "" {
		return false
	}
	if p.NamespaceSelector == nil {
		if other.namespace["kubernetes.io/metadata.name"] != "fanfare" {
			return false
		}
	} else if !matches(tb, p.NamespaceSelector, other.namespace) {
		return false
	}
	return p.PodSelector == nil || matches(tb, p.PodSelector, other.pod)
}

func within(tb testing.TB, block *networkingv1.IPBlock, address netip.Addr) bool {
	tb.Helper()
	contains := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil || prefix != prefix.Masked() {
			tb.Fatalf("%s is no network (%v)", cidr, err)
		}
		return prefix.Contains(address)
	}
	return contains(block.CIDR) && !slices.ContainsFunc(block.Except, contains)
}

func covers(p networkingv1.NetworkPolicyPort, target peer, port int32) bool {
	switch {
	case p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP:
		return false
	case p.Port == nil:
		return true
	case p.Port.Type == intstr.Int:
		return p.Port.IntVal == port
	case target.workload == nil:
		return false
	}
	number, ok := target.workload.port(*p.Port)
	return ok && number == port
}

func matches(tb testing.TB, selector *metav1.LabelSelector, set map[string]string) bool {
	tb.Helper()
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		tb.Fatal(err)
	}
	return compiled.Matches(labels.Set(set))
}

func TestOnlyThoseTalkThatMust(t *testing.T) {
	t.Parallel()
	// Only the example of a set-up in earnest has monitoring, and a load balancer; and only there
	// are the cluster's own public addresses known.
	const always, never, production, elsewhere = "always", "never", "in production", "but in production"
	table := []struct {
		from, to string
		port     int32
		when     string
	}{
		{"ingress controller", "gateway", 8080, always},
		{"ingress controller", "gateway", 8081, never},
		{"ingress controller", "nats", 4222, never},
		{"192.0.2.7", "gateway", 8080, production}, // a load balancer
		{"192.0.2.7", "gateway", 8081, never},
		{"192.0.2.7", "nats", 4222, never},
		{"203.0.113.7", "gateway", 8080, never},
		{"stranger", "gateway", 8080, never},
		{"neighbour", "gateway", 8080, never},
		{"consumer-wav", "gateway", 8080, never},
		{"gateway", "nats", 4222, always},
		{"gateway", "nats", 6222, never},
		{"gateway", "nats", 8222, never},
		{"gateway", "consumer-wav", 8081, never},
		{"gateway", "203.0.113.7", 443, never},
		{"gateway", "DNS", 53, always},
		{"gateway", "169.254.20.10", 53, always}, // NodeLocal DNSCache
		{"gateway", "169.254.20.10", 80, never},
		{"gateway", "169.254.20.11", 53, never},
		{"consumer-wav", "nats", 4222, always},
		{"consumer-wav", "203.0.113.7", 443, always},
		{"consumer-wav", "203.0.113.7", 8443, always},
		{"consumer-wav", "198.51.100.7", 443, elsewhere},
		{"consumer-wav", "2600::7", 443, never},
		{"consumer-wav", "10.1.2.3", 443, never},
		{"consumer-wav", "172.20.0.1", 443, never},
		{"consumer-wav", "192.168.1.1", 80, never},
		{"consumer-wav", "169.254.169.254", 80, never},
		{"consumer-wav", "fd00:ec2::254", 80, never},
		{"consumer-wav", "fe80::1", 80, never},
		{"consumer-wav", "stranger", 80, never},
		{"reconciler", "nats", 4222, always},
		{"reconciler", "203.0.113.7", 443, always},
		{"reconciler", "203.0.113.7", 80, never},
		{"reconciler", "198.51.100.7", 443, elsewhere},
		{"reconciler", "10.1.2.3", 443, never},
		{"reconciler", "2600::7", 443, never},
		{"provision", "nats", 4222, always},
		{"provision", "203.0.113.7", 443, never},
		{"nats", "nats", 6222, always},
		{"nats", "nats", 4222, never},
		{"nats", "203.0.113.7", 443, never},
		{"nats", "gateway", 8080, never},
		{"own service", "nats", 4222, always},
		{"own service", "nats", 6222, never},
		{"stranger", "nats", 4222, never},
		{"neighbour", "nats", 4222, never},
		{"Prometheus", "gateway", 8081, production},
		{"Prometheus", "consumer-wav", 8081, production},
		{"Prometheus", "reconciler", 8081, production},
		{"Prometheus", "gateway", 8080, never},
		{"Prometheus", "nats", 4222, never},
	}
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, flow := range table {
				here := elsewhere
				if c.overlay == "overlays/production" {
					here = production
				}
				want := flow.when == always || flow.when == here
				if got := c.allowed(t, c.peerOf(t, flow.from), c.peerOf(t, flow.to), flow.port); got != want {
					t.Errorf("%s to port %d of %s: allowed %t, want %t", flow.from, flow.port, flow.to, got, want)
				}
			}
			for _, typ := range types(t) {
				if !c.allowed(t, c.peerOf(t, "consumer-"+typ), c.peerOf(t, "nats"), 4222) {
					t.Errorf("the consumer of %s does not reach NATS", typ)
				}
			}
		})
	}
}
