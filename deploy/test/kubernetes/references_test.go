package kubernetes_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// mounted is a file, or a folder of files, in a container.
type mounted struct {
	path      string
	configMap string // where it comes from: this,
	secret    string // or this,
	claim     string // or a volume of its own
	key       string // "" for all keys
}

// files are all that a workload's container has mounted.
func (w *workload) files() (all []mounted) {
	for _, mount := range w.container().VolumeMounts {
		for _, claim := range w.claims {
			if claim.Name == mount.Name {
				all = append(all, mounted{path: mount.MountPath, claim: claim.Name})
			}
		}
		for _, volume := range w.pod.Spec.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			sources := []corev1.VolumeProjection{}
			switch v := volume.VolumeSource; {
			case v.Projected != nil:
				sources = v.Projected.Sources
			case v.Secret != nil:
				sources = append(sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret.SecretName}, Items: v.Secret.Items,
				}})
			case v.PersistentVolumeClaim != nil:
				all = append(all, mounted{path: mount.MountPath, claim: v.PersistentVolumeClaim.ClaimName})
			}
			for _, source := range sources {
				all = append(all, projected(mount.MountPath, source)...)
			}
		}
	}
	return all
}

func projected(path string, source corev1.VolumeProjection) (all []mounted) {
	var of mounted
	var items []corev1.KeyToPath
	switch {
	case source.ConfigMap != nil:
		of.configMap, items = source.ConfigMap.Name, source.ConfigMap.Items
	case source.Secret != nil:
		of.secret, items = source.Secret.Name, source.Secret.Items
	}
	if of.path = path; items == nil {
		return []mounted{of}
	}
	for _, item := range items {
		of.key, of.path = item.Key, path+"/"+item.Path
		all = append(all, of)
	}
	return all
}

// otherSecrets are those that no volume holds.
func (c *cluster) otherSecrets() (names []string) {
	for _, w := range c.workloads {
		for _, from := range w.container().EnvFrom {
			if from.SecretRef != nil {
				names = append(names, from.SecretRef.Name)
			}
		}
	}
	for _, ingress := range all[*networkingv1.Ingress](c) {
		for _, tls := range ingress.Spec.TLS {
			names = append(names, tls.SecretName)
		}
	}
	return names
}

// TestWhatPodsReferToIsThere looks at volumes and settings. Secrets are the README's
// and have a test there.
func TestWhatPodsReferToIsThere(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, w := range c.workloads {
				checkVolumes(t, c, w)
				for _, from := range w.container().EnvFrom {
					if from.ConfigMapRef != nil {
						c.wantConfigMap(t, w, from.ConfigMapRef.Name)
					}
				}
			}
		})
	}
}

// checkVolumes wants each volume to be mounted, each mount to have a volume, and what
// is in them to be there.
func checkVolumes(t *testing.T, c *cluster, w *workload) {
	t.Helper()
	provided, mounts := make(map[string]bool), make(map[string]bool)
	for _, volume := range w.pod.Spec.Volumes {
		provided[volume.Name] = true
	}
	for _, claim := range w.claims {
		provided[claim.Name] = true
	}
	for _, mount := range w.container().VolumeMounts {
		mounts[mount.Name] = true
	}
	if !maps.Equal(mounts, provided) {
		t.Errorf("%s has volumes %v and mounts %v", w.name, provided, mounts)
	}
	files := w.files()
	if len(files) < len(mounts) {
		t.Errorf("%s mounts what these tests do not know", w.name)
	}
	for _, file := range files {
		if file.configMap != "" {
			c.wantConfigMap(t, w, file.configMap)
		}
		if _, ok := named[*corev1.PersistentVolumeClaim](c, file.claim); file.claim != "" && w.claims == nil && !ok {
			t.Errorf("%s mounts the claim %s, which is not there", w.name, file.claim)
		}
	}
}

func (c *cluster) wantConfigMap(t *testing.T, w *workload, name string) {
	t.Helper()
	if _, ok := named[*corev1.ConfigMap](c, name); !ok {
		t.Errorf("%s refers to ConfigMap %s, which is not there", w.name, name)
	}
}

// TestSelectorsSelect wants every selector to find what it is for.
func TestSelectorsSelect(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, w := range c.workloads {
				if w.selector == nil {
					continue
				}
				if found := c.selects(t, w.selector); len(found) != 1 || found[0] != w {
					t.Errorf("%s %s selects the pods of %d workloads: want its own", w.kind, w.name, len(found))
				}
				for _, spread := range w.pod.Spec.TopologySpreadConstraints {
					if !slices.Contains(c.selects(t, spread.LabelSelector), w) {
						t.Errorf("%s is spread among pods that are not its own", w.name)
					}
				}
			}
			for _, service := range all[*corev1.Service](c) {
				checkService(t, c, service)
			}
			for _, budget := range all[*policyv1.PodDisruptionBudget](c) {
				if len(c.selects(t, budget.Spec.Selector)) != 1 {
					t.Errorf("PodDisruptionBudget %s is not for one workload", budget.Name)
				}
			}
			for _, policy := range all[*networkingv1.NetworkPolicy](c) {
				if len(c.selects(t, &policy.Spec.PodSelector)) == 0 {
					t.Errorf("NetworkPolicy %s is for nobody", policy.Name)
				}
				if len(policy.Spec.PolicyTypes) == 0 {
					t.Errorf("NetworkPolicy %s does not say for which direction it is", policy.Name)
				}
			}
		})
	}
}

func checkService(t *testing.T, c *cluster, service *corev1.Service) {
	t.Helper()
	selected := c.selects(t, &metav1.LabelSelector{MatchLabels: service.Spec.Selector})
	if len(service.Spec.Selector) == 0 || len(selected) == 0 {
		t.Errorf("Service %s is for nobody", service.Name)
	}
	if problems := validation.IsDNS1035Label(service.Name); len(problems) > 0 {
		t.Errorf("Service %s: %v", service.Name, problems)
	}
	for _, port := range service.Spec.Ports {
		for _, w := range selected {
			number, ok := w.port(port.TargetPort)
			if !ok {
				t.Errorf("Service %s: %s has no port %s", service.Name, w.name, port.TargetPort.String())
			}
			// Without an address of its own a Service only names pods: its port is theirs.
			if service.Spec.ClusterIP == corev1.ClusterIPNone && port.Port != number {
				t.Errorf("Service %s: port %d, while %s listens on %d", service.Name, port.Port, w.name, number)
			}
		}
	}
}

// port is the number of a container's port, by its name.
func (w *workload) port(name intstr.IntOrString) (number int32, ok bool) {
	for _, port := range w.container().Ports {
		if port.Name == name.StrVal && problem(port.Name) == "" {
			return port.ContainerPort, true
		}
	}
	return 0, false
}

func problem(portName string) string {
	return strings.Join(validation.IsValidPortName(portName), "; ")
}

// TestPodsAreLookedAfter wants bounds, and probes that ask where somebody answers.
func TestPodsAreLookedAfter(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, w := range c.workloads {
				r := w.container().Resources
				if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
					t.Errorf("%s: no request of CPU and memory, or memory without a limit", w.name)
				}
				if w.kind != "Job" {
					checkProbe(t, w, "liveness", w.container().LivenessProbe)
					checkProbe(t, w, "readiness", w.container().ReadinessProbe)
				}
			}
		})
	}
}

func checkProbe(t *testing.T, w *workload, what string, probe *corev1.Probe) {
	t.Helper()
	switch {
	case probe == nil:
		t.Errorf("%s has no %s probe", w.name, what)
	case probe.HTTPGet != nil:
		if port, ok := w.port(probe.HTTPGet.Port); !ok || w.env("FANFARE_OPS_LISTEN") != fmt.Sprintf("0.0.0.0:%d", port) {
			t.Errorf("%s: the %s probe asks port %s", w.name, what, probe.HTTPGet.Port.String())
		}
	}
}

// TestPodsHaveTimeToEnd holds what they are given against what they take.
func TestPodsHaveTimeToEnd(t *testing.T) {
	t.Parallel()
	const (
		answer   = 10 * time.Second // the longest that a request may take
		download = 15 * time.Minute // the longest that a download may take
		lameDuck = 30 * time.Second // of cluster.conf
	)
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			gateway, broker := c.workload("gateway"), c.workload("nats")
			pause := gateway.container().Lifecycle.PreStop.Sleep.Seconds
			if grace(gateway) <= time.Duration(pause)*time.Second+answer {
				t.Errorf("gateway: %s are not enough to sleep for %d s and to answer", grace(gateway), pause)
			}
			if grace(broker) <= lameDuck || !strings.Contains(c.config(t, "cluster.conf"), "lame_duck_duration: 30s\n") {
				t.Errorf("nats: %s are not enough to send clients away", grace(broker))
			}
			for _, typ := range types(t) {
				w := c.workload("consumer-" + typ)
				drain, err := time.ParseDuration(w.env("FANFARE_DRAIN"))
				if err != nil || drain <= download || grace(w) <= drain {
					t.Errorf("%s: %s to drain, %s to end (%v): want more than the %s of a download", w.name, drain, grace(w), err, download)
				}
			}
		})
	}
}

func grace(w *workload) time.Duration {
	return time.Duration(*w.pod.Spec.TerminationGracePeriodSeconds) * time.Second
}

// config is a file of the servers' ConfigMap.
func (c *cluster) config(tb testing.TB, name string) string {
	tb.Helper()
	for _, file := range c.workload("nats").files() {
		if configMap, ok := named[*corev1.ConfigMap](c, file.configMap); ok {
			return configMap.Data[name]
		}
	}
	tb.Fatal("the servers have no configuration")
	return ""
}

// TestServersAreOfTheVersionThatIsTested looks for the one of go.mod, with which all other
// tests are done, as docker-compose.yml has it.
func TestServersAreOfTheVersionThatIsTested(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`nats-io/nats-server/v2 v(\S+)`).FindSubmatch(read(t, root+"/go.mod"))
	if found == nil {
		t.Fatal("go.mod has no server")
	}
	want := "nats:" + string(found[1]) + "-alpine"
	for _, c := range clusters(t) {
		if got := c.workload("nats").container().Image; got != want {
			t.Errorf("%s: the image is %s, want %s", c.overlay, got, want)
		}
	}
}

// TestAnyServerMayBeAwayAndNoMore holds the budget against the number of servers.
func TestAnyServerMayBeAwayAndNoMore(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			servers := c.workload("nats").replicas
			budget, ok := named[*policyv1.PodDisruptionBudget](c, "nats")
			if !ok || servers == nil || *servers != 3 || budget.Spec.MinAvailable.IntVal != 2 {
				t.Errorf("of the servers more or fewer than one of three may be away")
			}
			if got := c.workload("provision").env("FANFARE_REPLICAS"); got != "3" {
				t.Errorf("streams are stored %s times", got)
			}
			if c.overlay == "overlays/trial" {
				return // whose one gateway may go
			}
			hpa, ok := named[*autoscalingv2.HorizontalPodAutoscaler](c, "gateway")
			if front, there := named[*policyv1.PodDisruptionBudget](c, "gateway"); !ok || !there || int(*hpa.Spec.MinReplicas) <= front.Spec.MaxUnavailable.IntValue() {
				t.Error("the gateway's budget lets the last copy go")
			}
		})
	}
}
