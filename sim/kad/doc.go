// Package kad puts thousands of production nodes of the DHT (package dht) into one
// simulated world, and measures their lookups: against the ideal of Kademlia, with
// contacts that are dead, with nodes that lie.
package kad
