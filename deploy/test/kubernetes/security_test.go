package kubernetes_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestPodsPassTheRestrictedProfile asks what an API server asks, by its own code.
func TestPodsPassTheRestrictedProfile(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			namespace, ok := named[*corev1.Namespace](c, "fanfare")
			if !ok || namespace.Labels[api.EnforceLevelLabel] != string(api.LevelRestricted) {
				t.Error("the namespace does not ask for the profile")
			}
			for _, w := range c.workloads {
				verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &w.pod.ObjectMeta, &w.pod.Spec))
				if !verdict.Allowed {
					t.Errorf("%s: %s: %s", w.name, verdict.ForbiddenReason(), verdict.ForbiddenDetail())
				}
			}
		})
	}
}

// TestPodsAreGivenNoMoreThanTheyNeed looks at what the profile leaves open.
func TestPodsAreGivenNoMoreThanTheyNeed(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, w := range c.workloads {
				spec, security := w.pod.Spec, w.container().SecurityContext
				if security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
					t.Errorf("%s may write to its image", w.name)
				}
				if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
					t.Errorf("%s has a token for the API, which it does not need", w.name)
				}
				if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
					t.Errorf("%s has the addresses of Services in its environment, where NATS looks for its settings", w.name)
				}
				if spec.SecurityContext.RunAsUser == nil || *spec.SecurityContext.RunAsUser != 65532 || *spec.SecurityContext.FSGroup != 65532 {
					t.Errorf("%s does not run as nobody", w.name)
				}
				if change := spec.SecurityContext.FSGroupChangePolicy; change == nil || *change != corev1.FSGroupChangeOnRootMismatch {
					t.Errorf("%s starts only when every file of its volumes has been given its group again", w.name)
				}
			}
		})
	}
}

// TestConsumersAloneHaveAnIdentity wants what a cloud gives to a ServiceAccount, such as
// the right to write the archive, to be given to nobody else.
func TestConsumersAloneHaveAnIdentity(t *testing.T) {
	t.Parallel()
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			account, ok := named[*corev1.ServiceAccount](c, "consumer")
			if !ok || account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
				t.Error("consumers have no ServiceAccount of their own, or one with a token for the API")
			}
			for _, w := range c.workloads {
				want := ""
				if w.pod.Labels["app.kubernetes.io/component"] == "consumer" {
					want = "consumer"
				}
				if got := w.pod.Spec.ServiceAccountName; got != want {
					t.Errorf("%s has the ServiceAccount %q, want %q", w.name, got, want)
				}
			}
		})
	}
}
