// Package create makes torrents from files on disk: it decides which files
// belong to the torrent, reads them once, in order, at the speed of the device,
// and hashes pieces on all cores. It is the part of package metainfo that does
// I/O.
//
// The same files and options always give the same info dictionary: files are in
// the byte order of their names, folder by folder, and nothing of the machine
// (times, owners, order of the directory) gets in.
package create
