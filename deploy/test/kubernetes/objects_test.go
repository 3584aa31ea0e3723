package kubernetes_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"fanfare/deploy/test/kubernetes"
)

func folder(tb testing.TB, path string) []fs.DirEntry {
	tb.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}

// TestSourcesAreUnambiguous looks for names that an object has twice, of which
// Kustomize would silently take one.
func TestSourcesAreUnambiguous(t *testing.T) {
	t.Parallel()
	sources := []string{deploy + "/nats/kustomization.yaml", deploy + "/grafana/kustomization.yaml"}
	err := filepath.WalkDir(deploy+"/kubernetes", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			sources = append(sources, path)
		}
		return err
	})
	if err != nil || len(sources) < 20 {
		t.Fatalf("%d files: %v", len(sources), err)
	}
	for _, source := range sources {
		documents := yamlutil.NewDocumentDecoder(io.NopCloser(bytes.NewReader(read(t, source))))
		text := make([]byte, 1<<20)
		for {
			n, err := documents.Read(text)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", source, err)
			}
			if _, err := yaml.YAMLToJSONStrict(text[:n]); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
	}
}

// TestOverlaysHaveAllParts also proves that every document is one that the API's types
// know, for newCluster wants that.
func TestOverlaysHaveAllParts(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			want := []string{"gateway", "reconciler"}
			for _, typ := range types(t) {
				want = append(want, "consumer-"+typ)
			}
			slices.Sort(want)
			if got := names(c, schema.GroupKind{Group: "apps", Kind: "Deployment"}); !slices.Equal(got, want) {
				t.Errorf("Deployments %v, want %v", got, want)
			}
			for _, typ := range types(t) {
				if w := c.workload("consumer-" + typ); w == nil || !slices.Equal(w.container().Args, []string{"consumer", typ}) || w.pod.Labels["fanfare/type"] != typ {
					t.Errorf("type %s has no consumer of its own", typ)
				}
			}
			for _, object := range c.objects {
				if problems := validation.IsDNS1123Subdomain(object.GetName()); len(problems) > 0 {
					t.Errorf("name %q: %v", object.GetName(), problems)
				}
				if namespace := object.GetNamespace(); namespace != "fanfare" && object.GetName() != "fanfare" {
					t.Errorf("%s is in namespace %q", object.GetName(), namespace)
				}
			}
		})
	}
}

// TestNothingIsScaledByTwo wants nobody to state a number of copies who is scaled, for
// it would be set anew by each who applies it.
func TestNothingIsScaledByTwo(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			scaled := make(map[string]bool)
			target := func(by, kind, name string) {
				w := c.workload(name)
				switch {
				case w == nil || w.kind != kind:
					t.Errorf("%s scales the %s %s, which is not there", by, kind, name)
				case w.replicas != nil:
					t.Errorf("%s: %s scales it, and it states %d copies", name, by, *w.replicas)
				case scaled[name]:
					t.Errorf("%s is scaled by two", name)
				case w.container().Resources.Requests.Cpu().IsZero():
					t.Errorf("%s asks for no CPU, of which its autoscaler could have a share", name)
				}
				scaled[name] = true
			}
			for _, hpa := range all[*autoscalingv2.HorizontalPodAutoscaler](c) {
				target("HorizontalPodAutoscaler "+hpa.Name, hpa.Spec.ScaleTargetRef.Kind, hpa.Spec.ScaleTargetRef.Name)
			}
			for _, so := range c.scaled {
				name, _, _ := unstructured.NestedString(so.Object, "spec", "scaleTargetRef", "name")
				target("ScaledObject "+so.GetName(), "Deployment", name)
			}
			if !scaled["gateway"] {
				t.Error("the gateway is not scaled")
			}
		})
	}
}

// TestTheTrialFitsSmallMachines adds up what its pods ask for: of two CPUs, those of the
// cluster itself take about one.
func TestTheTrialFitsSmallMachines(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "overlays/trial")
	var sum resource.Quantity
	for _, w := range c.workloads {
		for range c.copies(w) {
			sum.Add(*w.container().Resources.Requests.Cpu())
		}
	}
	if limit := resource.MustParse("900m"); sum.IsZero() || sum.Cmp(limit) >= 0 {
		t.Errorf("the pods ask for %s of CPU, want less than %s", &sum, &limit)
	}
}

// copies is the least number of pods that a workload has.
func (c *cluster) copies(w *workload) int32 {
	for _, hpa := range all[*autoscalingv2.HorizontalPodAutoscaler](c) {
		if hpa.Spec.ScaleTargetRef.Name == w.name {
			return *hpa.Spec.MinReplicas
		}
	}
	if w.replicas != nil {
		return *w.replicas
	}
	return 1
}

func TestEveryConsumerIsScaledByWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "overlays/production")
	schema := scaledObjectSchema(t)
	queries := make(map[string]string)
	for _, so := range c.scaled {
		if result := validate.NewSchemaValidator(schema, nil, "", strfmt.Default).Validate(so.Object); !result.IsValid() {
			t.Errorf("%s is no ScaledObject: %v", so.GetName(), result.Errors)
		}
		triggers, _, _ := unstructured.NestedSlice(so.Object, "spec", "triggers")
		if len(triggers) != 1 {
			t.Fatalf("%s has %d triggers", so.GetName(), len(triggers))
		}
		trigger, _ := triggers[0].(map[string]any)
		metadata, _, err := unstructured.NestedStringMap(trigger, "metadata")
		if err != nil || trigger["type"] != "prometheus" || metadata["serverAddress"] == "" || metadata["threshold"] == "" {
			t.Errorf("%s: trigger %v", so.GetName(), trigger)
		}
		queries[so.GetName()] = metadata["query"]
	}
	for _, typ := range types(t) {
		if got, want := queries["consumer-"+typ], `max(fanfare_consumer_pending{type="`+typ+`"})`; got != want {
			t.Errorf("consumer-%s is scaled by %q, want %q", typ, got, want)
		}
	}
}

// scaledObjectSchema is KEDA's own, and refuses what it does not know instead of
// dropping it.
func scaledObjectSchema(tb testing.TB) *spec.Schema {
	tb.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI *spec.Schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(read(tb, "testdata/keda.sh_scaledobjects.yaml"), &crd); err != nil || len(crd.Spec.Versions) != 1 {
		tb.Fatalf("KEDA's definition: %v", err)
	}
	closed := crd.Spec.Versions[0].Schema.OpenAPI
	closeSchema(closed)
	return closed
}

func closeSchema(s *spec.Schema) {
	if s.Items != nil && s.Items.Schema != nil {
		closeSchema(s.Items.Schema)
	}
	if len(s.Properties) == 0 {
		return
	}
	for name, property := range s.Properties {
		closeSchema(&property)
		s.Properties[name] = property
	}
	s.AdditionalProperties = &spec.SchemaOrBool{Allows: false}
}

func TestScaledObjectsThatAreWrongAreRefused(t *testing.T) {
	t.Parallel()
	validator := validate.NewSchemaValidator(scaledObjectSchema(t), nil, "", strfmt.Default)
	for name, text := range map[string]string{
		"a misspelled field":    `{spec: {scaleTargetRef: {name: a}, minReplicas: 1, triggers: [{type: prometheus, metadata: {}}]}}`,
		"a number in metadata":  `{spec: {scaleTargetRef: {name: a}, triggers: [{type: prometheus, metadata: {threshold: 32}}]}}`,
		"no target":             `{spec: {triggers: [{type: prometheus, metadata: {}}]}}`,
		"a policy without type": `{spec: {scaleTargetRef: {name: a}, triggers: [], advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {policies: [{value: 1, periodSeconds: 60}]}}}}}}`,
	} {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		if validator.Validate(object).IsValid() {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestRulesAndDashboardsAreThoseOfEverySetUp(t *testing.T) {
	t.Parallel()
	files, err := kubernetes.Rules(module)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for path, want := range files {
		if !bytes.Equal(read(t, path), want) {
			t.Errorf("%s is not what it would be made of deploy/prometheus: go run ./cmd/rules", path)
		}
	}
	c := newCluster(t, "overlays/production")
	if n := len(all[*monitoringv1.PrometheusRule](c)); n != len(files) {
		t.Errorf("%d PrometheusRules for %d files", n, len(files))
	}
	dashboards, ok := named[*corev1.ConfigMap](c, "dashboards")
	if !ok {
		t.Fatal("there are no dashboards")
	}
	for _, entry := range folder(t, deploy+"/grafana/dashboards") {
		if dashboards.Data[entry.Name()] != string(read(t, deploy+"/grafana/dashboards/"+entry.Name())) {
			t.Errorf("the ConfigMap has another %s, or none", entry.Name())
		}
	}
}

// TestEveryProcessIsScrapedAsTheJobThatTheRulesKnow plays the Prometheus operator.
func TestEveryProcessIsScrapedAsTheJobThatTheRulesKnow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "overlays/production")
	jobs := make(map[string]string) // by workload
	for _, monitor := range all[*monitoringv1.ServiceMonitor](c) {
		selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range all[*corev1.Service](c) {
			if !selector.Matches(labels.Set(service.Labels)) {
				continue
			}
			for _, endpoint := range monitor.Spec.Endpoints {
				if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == endpoint.Port }) {
					t.Errorf("Service %s has no port %q", service.Name, endpoint.Port)
				}
			}
			for _, w := range c.selects(t, &metav1.LabelSelector{MatchLabels: service.Spec.Selector}) {
				if jobs[w.name] != "" {
					t.Errorf("%s is scraped twice", w.name)
				}
				jobs[w.name] = service.Labels[monitor.Spec.JobLabel]
			}
		}
	}
	for _, w := range c.workloads {
		want, _, _ := strings.Cut(w.name, "-")
		if w.kind != "Deployment" {
			want = "" // NATS's monitoring is on loopback, and a Job is gone too soon
		}
		if jobs[w.name] != want {
			t.Errorf("%s is scraped as job %q, want %q", w.name, jobs[w.name], want)
		}
	}
	rules := string(read(t, deploy+"/prometheus/rules/broker.yml"))
	if !strings.Contains(rules, `job=~"gateway|consumer|reconciler|standalone"`) {
		t.Error("the rules know other jobs by now")
	}
}

// TestProcessesAreScrapedUntilTheirEnd also wants what the rules ask for to be scraped
// where a Prometheus prefers native histograms.
func TestProcessesAreScrapedUntilTheirEnd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "overlays/production")
	for _, service := range all[*corev1.Service](c) {
		if strings.HasSuffix(service.Name, "-ops") && !service.Spec.PublishNotReadyAddresses {
			t.Errorf("Service %s loses pods that drain", service.Name)
		}
	}
	for _, monitor := range all[*monitoringv1.ServiceMonitor](c) {
		if classic := monitor.Spec.ScrapeClassicHistograms; classic == nil || !*classic {
			t.Errorf("ServiceMonitor %s leaves out the buckets that the rules add up", monitor.Name)
		}
	}
}
