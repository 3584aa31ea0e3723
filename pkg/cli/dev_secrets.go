package cli

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"fanfare/pkg/callback"
)

// rolesFile is what deploy/nats/accounts.conf includes of the secrets, though it holds
// none: the public half of each role's nkey.
const rolesFile = "roles.conf"

// devSecrets is a directory with the secrets of a development set-up. What is there is
// kept; a file is there in whole or not at all. Nothing of it is ever printed.
type devSecrets struct {
	dir string
	now authorityTimes
}

// writeDevSecrets writes into dir what is missing of the secrets that
// deploy/nats/secure.conf, cluster.conf and a gateway need: certificates, an nkey for
// each role, roles.conf, a URL token and an HMAC key.
func writeDevSecrets(dir string, types []callback.Type) error {
	s := devSecrets{dir: dir, now: validNow()}
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.certificates(); err != nil {
		return err
	}
	if err := s.roles(natsRoles(types)); err != nil {
		return err
	}
	for _, name := range []string{"url-token", "hmac-key"} {
		if err := s.text(name); err != nil {
			return err
		}
	}
	return nil
}

// natsRoles are the users of deploy/nats/accounts.conf.
func natsRoles(types []callback.Type) []string {
	roles := []string{"gateway"}
	for _, t := range types {
		roles = append(roles, "consumer-"+string(t))
	}
	return append(roles, "reconciler", "subscriber", "operator", "provisioner", "backup")
}

// makeDir makes the directory, for its owner alone. One that is there may be looked
// into by others, who cannot read its files, but they must not be able to replace them.
func (s devSecrets) makeDir() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the secrets: %w", err)
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the secrets: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to %s: take that from them with chmod 700, or choose another directory", s.dir)
	}
	return nil
}

// roles makes each role's nkey, and says in roles.conf which they are. That follows
// from the seeds, so it is written again where it is of others.
func (s devSecrets) roles(roles []string) error {
	var text strings.Builder
	text.WriteString("# Written by `fanfare provision --dev-secrets` from the seeds beside it, which take precedence.\n")
	for _, role := range roles {
		seed, err := s.seed(role + ".nk")
		if err != nil {
			return err
		}
		public, err := publicKey(seed)
		if err != nil {
			return fmt.Errorf("%s: %w", s.path(role+".nk"), err)
		}
		name := strings.ToUpper(strings.ReplaceAll(role, "-", "_"))
		fmt.Fprintf(&text, "%s_NKEY: %s\n%s_INBOX: \"_INBOX.%s.>\"\n", name, public, name, public)
	}
	content := []byte(text.String())
	if is, err := os.ReadFile(s.path(rolesFile)); err == nil && bytes.Equal(is, content) {
		return nil
	}
	return s.write(rolesFile, content)
}

func newSeed() ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make an nkey: %w", err)
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make an nkey: %w", err)
	}
	return append(seed, '\n'), nil
}

func publicKey(seed []byte) (string, error) {
	pair, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return "", errors.New("this is no nkey seed: remove the file, and another is made")
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return "", errors.New("this is no nkey seed of a user: remove the file, and another is made")
	}
	return public, nil
}

// seed returns the seed that is in a file; if there is none, a fresh one, once it is there.
func (s devSecrets) seed(name string) ([]byte, error) {
	content, err := os.ReadFile(s.path(name))
	if err == nil {
		return content, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read a secret: %w", err)
	}
	if content, err = newSeed(); err != nil {
		return nil, err
	}
	return content, s.write(name, content)
}

// text makes a file with a random text if there is none. What is there is not read: it
// may be the user's own, and for a while nobody else's to read.
func (s devSecrets) text(name string) error {
	_, err := os.Stat(s.path(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.write(name, []byte(rand.Text()+"\n"))
}

func (s devSecrets) path(name string) string { return filepath.Join(s.dir, name) }

// write puts a file, for its owner alone, into the place of what may be there.
func (s devSecrets) write(name string, content []byte) error {
	file, err := os.CreateTemp(s.dir, name+".*")
	if err != nil {
		return fmt.Errorf("write a secret: %w", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), s.path(name))
	}
	if err != nil {
		return fmt.Errorf("write a secret: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}
