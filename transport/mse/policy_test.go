package mse

import (
	"errors"
	"testing"
)

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		name             string
		encrypted, plain bool
		methods, out     Offer
	}{
		{"off", false, true, 0, 0},
		{"allow", true, true, OfferAny, 0},
		{"prefer", true, true, OfferAny, OfferAny},
		{"require", true, false, OfferRC4, OfferRC4},
	} {
		p, err := ParsePolicy(c.name)
		if err != nil || p.String() != c.name {
			t.Errorf("%q is %v, %v", c.name, p, err)
		}
		if p.Encrypted() != c.encrypted || p.Plain() != c.plain || p.Methods() != c.methods || p.Outgoing() != c.out {
			t.Errorf("%v: %v %v %v %v", p, p.Encrypted(), p.Plain(), p.Methods(), p.Outgoing())
		}
		text, _ := p.MarshalText()
		var back Policy
		if err := back.UnmarshalText(text); err != nil || back != p {
			t.Errorf("%v came back as %v, %v", p, back, err)
		}
	}
	if _, err := ParsePolicy("perhaps"); !errors.Is(err, ErrPolicy) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		None.String(): "none", Plaintext.String(): "plaintext", RC4.String(): "rc4", Method(9).String(): "method 9",
		Offer(0).String(): "none", OfferAny.String(): "plaintext rc4", OfferRC4.String(): "rc4", Policy(9).String(): "policy 9",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if OfferAny.Has(None) || !OfferAny.Has(RC4) || OfferPlaintext.Has(RC4) {
		t.Error("Has is wrong")
	}
}
