/**
 * Filesystems that only this kernel changes, by the `f_type` of `statfs(2)`. On others, such as nfs,
 * another machine may write.
 */
const LOCAL: readonly (readonly [magic: number, name: string])[] = [
  [0xef53, "ext4"], // ext2 and ext3 share it; both are run by ext4's code
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0xf2f52010, "f2fs"],
  [0x2fc12fc1, "zfs"],
  [0xca451a4e, "bcachefs"],
  [0x794c7630, "overlayfs"],
];

/** Names of filesystems by the `f_type` of `statfs(2)`. */
const NAMES: ReadonlyMap<number, string> = new Map([
  ...LOCAL,
  [0x6969, "nfs"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x65735546, "fuse"],
  [0x01021997, "9p"],
  [0x4d44, "vfat"],
  [0x2011bab0, "exfat"],
  [0x7366746e, "ntfs3"],
  [0x9660, "isofs"],
  [0x73717368, "squashfs"],
  [0xe0f5e1e2, "erofs"],
  [0x9fa0, "proc"],
  [0x62656572, "sysfs"],
]);

const COPY_ON_WRITE: readonly string[] = ["btrfs", "bcachefs", "zfs"];

/** Returns the name of a filesystem; its magic number in hexadecimal where it is not known. */
export function filesystemName(magic: number): string {
  return NAMES.get(magic) ?? `0x${magic.toString(16)}`;
}

/** Returns whether a filesystem moves a block that is rewritten. */
export function isCopyOnWrite(filesystem: string): boolean {
  return COPY_ON_WRITE.includes(filesystem);
}

/** Returns whether only this kernel changes a filesystem, so that inotify(7) reports all changes. */
export function isLocal(filesystem: string): boolean {
  return LOCAL.some(([, name]) => name === filesystem);
}
