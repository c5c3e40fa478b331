// Package priority lets a process of ours give way to the one that answers requests.
package priority
