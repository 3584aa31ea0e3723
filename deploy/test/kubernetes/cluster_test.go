package kubernetes_test

import (
	"maps"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// overlays are what is built: base is checked for what every set-up has.
func overlays() []string { return []string{"base", "overlays/trial", "overlays/production"} }

// clusters are what a cluster would get of each overlay.
func clusters(tb testing.TB) (all []*cluster) {
	tb.Helper()
	for _, overlay := range overlays() {
		all = append(all, newCluster(tb, overlay))
	}
	return all
}

// cluster is what a cluster would get of an overlay.
type cluster struct {
	overlay   string
	objects   []metav1.Object
	workloads []*workload
	scaled    []*unstructured.Unstructured // ScaledObjects
}

// workload is anything that makes pods.
type workload struct {
	kind     string
	name     string
	replicas *int32
	selector *metav1.LabelSelector // nil: the Job's, which is made for it
	pod      corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

// container is the only one of its pods.
func (w *workload) container() *corev1.Container { return &w.pod.Spec.Containers[0] }

// isFanfare tells our processes from NATS's.
func (w *workload) isFanfare() bool { return w.pod.Labels["app.kubernetes.io/name"] == "fanfare" }

// env is what a variable of the container says.
func (w *workload) env(name string) string {
	for _, env := range w.container().Env {
		if env.Name == name {
			return env.Value
		}
	}
	return ""
}

// newCluster builds an overlay as `kustomize build` does, and decodes it as an API
// server does that is told to be strict: what its types do not know is an error.
func newCluster(tb testing.TB, overlay string) *cluster {
	tb.Helper()
	scheme := newScheme(tb)
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), deploy+"/kubernetes/"+overlay)
	if err != nil {
		tb.Fatalf("kustomize build: %v", err)
	}
	c := &cluster{overlay: overlay}
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			tb.Fatal(err)
		}
		if resource.GetKind() == "ScaledObject" {
			object := new(unstructured.Unstructured)
			if err := yaml.UnmarshalStrict(text, &object.Object); err != nil {
				tb.Fatalf("%s: %v", resource.CurId(), err)
			}
			c.scaled, c.objects = append(c.scaled, object), append(c.objects, object)
			continue
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			tb.Errorf("%s: %v", resource.CurId(), err)
			continue
		}
		c.add(tb, object)
	}
	if tb.Failed() {
		tb.FailNow()
	}
	return c
}

// newScheme knows the kinds that may be used. Any other is an error.
func newScheme(tb testing.TB) *runtime.Scheme {
	tb.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, autoscalingv2.AddToScheme,
		policyv1.AddToScheme, networkingv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	return scheme
}

func (c *cluster) add(tb testing.TB, object runtime.Object) {
	tb.Helper()
	accessor, ok := object.(metav1.Object)
	if !ok {
		tb.Fatalf("%T has no name", object)
	}
	c.objects = append(c.objects, accessor)
	w := &workload{kind: object.GetObjectKind().GroupVersionKind().Kind, name: accessor.GetName()}
	switch o := object.(type) {
	case *appsv1.Deployment:
		w.replicas, w.selector, w.pod = o.Spec.Replicas, o.Spec.Selector, o.Spec.Template
	case *appsv1.StatefulSet:
		w.replicas, w.selector, w.pod, w.claims = o.Spec.Replicas, o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates
	case *batchv1.Job:
		w.pod = o.Spec.Template
	default:
		return
	}
	if n := len(w.pod.Spec.Containers) + len(w.pod.Spec.InitContainers); n != 1 {
		tb.Fatalf("%s %s: %d containers: these tests look at one", w.kind, w.name, n)
	}
	c.workloads = append(c.workloads, w)
}

// all returns the objects of a type.
func all[T metav1.Object](c *cluster) (found []T) {
	for _, object := range c.objects {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// named returns the object of a type and a name, or nothing.
func named[T metav1.Object](c *cluster, name string) (object T, ok bool) {
	for _, o := range all[T](c) {
		if o.GetName() == name {
			return o, true
		}
	}
	return object, false
}

// workload returns the one of a name, or nil.
func (c *cluster) workload(name string) *workload {
	for _, w := range c.workloads {
		if w.name == name {
			return w
		}
	}
	return nil
}

// selects are the workloads whose pods a selector selects.
func (c *cluster) selects(tb testing.TB, selector *metav1.LabelSelector) (found []*workload) {
	tb.Helper()
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		tb.Fatal(err)
	}
	for _, w := range c.workloads {
		for _, pod := range w.pods() {
			if compiled.Matches(labels.Set(pod)) {
				found = append(found, w)
				break
			}
		}
	}
	return found
}

// pods are the labels of the pods that a workload makes: a StatefulSet's have their
// names among them.
func (w *workload) pods() (all []map[string]string) {
	if w.kind != "StatefulSet" {
		return append(all, w.pod.Labels)
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		pod := map[string]string{"statefulset.kubernetes.io/pod-name": name}
		maps.Copy(pod, w.pod.Labels)
		all = append(all, pod)
	}
	return all
}

// types are those that fanfare has a consumer for: the folders, as a test of theirs
// says.
func types(tb testing.TB) (names []string) {
	tb.Helper()
	for _, entry := range folder(tb, root+"/consumers") {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// names are those of objects of a kind, sorted.
func names(c *cluster, kind schema.GroupKind) (all []string) {
	for _, object := range c.objects {
		if o, ok := object.(runtime.Object); ok && o.GetObjectKind().GroupVersionKind().GroupKind() == kind {
			all = append(all, object.GetName())
		}
	}
	slices.Sort(all)
	return all
}
