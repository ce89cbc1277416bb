import { join, relative, sep } from 'node:path';
import { FileHistory, type Luck } from './FileHistory.js';
import type { FileOperation } from './FileOperation.js';

/** Names below a folder: of a file its content, of a folder what is below it. */
export type Tree = ReadonlyMap<string, Buffer | Tree>;

interface Folder {
  readonly names: Map<string, Node>;
  /** What is safe of it. */
  readonly synced: Map<string, Node>;
}
type Node = Folder | FileHistory;

/** A name that was made or removed, or both at once, which no sync of its folder has covered yet. */
interface NameChange {
  readonly endNs: number;
  readonly removed: Name | null;
  readonly added: (Name & { readonly node: Node }) | null;
}
interface Name {
  readonly folder: Folder;
  readonly name: string;
}

/**
 * A disk and what of it is safe from a loss of power, by the letter: a file's bytes are, when it was synced after they were
 * written; a name is, when its folder was. Everything else may be there or not, independently of each other, with two limits that
 * every file system in use keeps: a rename happens whole or not at all, and of one name's changes none comes before an earlier one.
 */
export class DiskModel {
  readonly #root: Folder = emptyFolder();
  readonly #dir: string;
  readonly #inodes: Map<number, Node>;
  #unsafe: NameChange[] = [];

  /**
   * @param dir - the folder that is watched, empty at the beginning
   * @param inode - its number
   */
  constructor(dir: string, inode: number) {
    this.#dir = dir;
    this.#inodes = new Map<number, Node>([[inode, this.#root]]);
  }

  apply(operation: FileOperation): void {
    const { kind, inode, path, endNs, position, data } = operation;
    const node = this.#inodes.get(inode);
    if (kind === 'write' && node instanceof FileHistory) node.write(endNs, position, data);
    if (kind === 'truncate' && node instanceof FileHistory) node.truncate(endNs, position);
    if (kind === 'sync' && node !== undefined) this.#sync(node, operation.beginNs);
    if (kind === 'open') this.#open(path, operation);
    if (kind === 'mkdir') this.#add(path, endNs, this.#known(inode, emptyFolder()));
    if (kind === 'unlink' || kind === 'rmdir') this.#remove(path, endNs);
    if (kind === 'rename') this.#rename(path, data.toString(), endNs);
    if (kind === 'link') this.#add(data.toString(), endNs, this.#at(path));
  }

  /** The tree as the processes saw it. */
  get current(): Tree {
    return treeOf(
      this.#root,
      ({ names }) => names,
      (file) => file.current,
    );
  }

  /** A tree that a loss of power at this moment may leave. */
  survivor(random: () => number, luck: Luck): Tree {
    const folders = new Map<Folder, Map<string, Node>>();
    const left = (folder: Folder): Map<string, Node> => {
      let names = folders.get(folder);
      if (names === undefined) folders.set(folder, (names = new Map(folder.synced)));
      return names;
    };
    const lost = new Map<Folder, Set<string>>();
    for (const { removed, added } of this.#unsafe) {
      const touched = [removed, added].filter((each) => each !== null);
      const isStuck = touched.some(({ folder, name }) => lost.get(folder)?.has(name) === true);
      if (isStuck || random() >= luck.names) {
        for (const { folder, name } of touched) lost.set(folder, (lost.get(folder) ?? new Set()).add(name));
        continue;
      }
      if (removed !== null) left(removed.folder).delete(removed.name);
      if (added !== null) left(added.folder).set(added.name, added.node);
    }
    return treeOf(this.#root, left, (file) => file.survivor(random, luck));
  }

  #sync(node: Node, beginNs: number): void {
    if (node instanceof FileHistory) return node.sync(beginNs);
    // A rename from one folder into another is safe when the one that has it now is.
    const covered = this.#unsafe.filter(
      ({ removed, added, endNs }) => (added ?? removed)?.folder === node && endNs <= beginNs,
    );
    for (const change of covered) this.#secure(change);
  }

  #secure(change: NameChange): void {
    const at = this.#unsafe.indexOf(change);
    if (at < 0) return;
    // What came before it to a name that it takes away elsewhere can't be missing any more.
    const before = this.#unsafe.slice(0, at);
    for (const other of before) if (isOfSameName(other, change)) this.#secure(other);
    this.#unsafe = this.#unsafe.filter((each) => each !== change);
    const { removed, added } = change;
    removed?.folder.synced.delete(removed.name);
    added?.folder.synced.set(added.name, added.node);
  }

  #open(path: string, { inode, position, endNs }: FileOperation): void {
    const there = this.#at(path);
    const known = this.#inodes.get(inode);
    const file = there !== undefined && there === known ? there : this.#known(inode, new FileHistory());
    if (file !== there) this.#add(path, endNs, file);
    else if (position === 1 && file instanceof FileHistory) file.truncate(endNs, 0);
  }

  #known<T extends Node>(inode: number, node: T): T {
    this.#inodes.set(inode, node);
    return node;
  }

  #add(path: string, endNs: number, node: Node | undefined): void {
    const added = this.#nameOf(path);
    if (added === null || node === undefined) throw new Error(`${path} lies nowhere`);
    added.folder.names.set(added.name, node);
    this.#unsafe.push({ endNs, removed: null, added: { ...added, node } });
  }

  #remove(path: string, endNs: number): void {
    const removed = this.#nameOf(path);
    // The socket of the daemon's lock is no file.
    if (removed?.folder.names.delete(removed.name) !== true) return;
    this.#unsafe.push({ endNs, removed, added: null });
  }

  #rename(from: string, to: string, endNs: number): void {
    const node = this.#at(from);
    const [removed, added] = [this.#nameOf(from), this.#nameOf(to)];
    if (node === undefined || removed === null || added === null)
      throw new Error(`${from} or ${to} lies nowhere`);
    removed.folder.names.delete(removed.name);
    added.folder.names.set(added.name, node);
    this.#unsafe.push({ endNs, removed, added: { ...added, node } });
  }

  #at(path: string): Node | undefined {
    const found = this.#nameOf(path);
    return found?.folder.names.get(found.name);
  }

  #nameOf(path: string): Name | null {
    const parts = relative(this.#dir, path).split(sep);
    const name = parts.pop() ?? '';
    let folder: Node | undefined = this.#root;
    for (const part of parts) {
      if (folder === undefined || folder instanceof FileHistory) return null;
      folder = folder.names.get(part);
    }
    return folder === undefined || folder instanceof FileHistory ? null : { folder, name };
  }
}

function emptyFolder(): Folder {
  return { names: new Map(), synced: new Map() };
}

function isOfSameName(a: NameChange, b: NameChange): boolean {
  const names = [b.removed, b.added];
  return [a.removed, a.added].some((one) =>
    names.some((other) => one !== null && one.folder === other?.folder && one.name === other.name),
  );
}

function treeOf(
  folder: Folder,
  namesOf: (folder: Folder) => ReadonlyMap<string, Node>,
  contentOf: (file: FileHistory) => Buffer,
): Tree {
  const tree = new Map<string, Buffer | Tree>();
  for (const [name, node] of namesOf(folder))
    tree.set(name, node instanceof FileHistory ? contentOf(node) : treeOf(node, namesOf, contentOf));
  return tree;
}

/** Every file of a tree with its path, folders by a path that ends with a slash. */
export function* pathsIn(
  tree: Tree,
  below = '',
): Generator<[path: string, content: Buffer | null], void, void> {
  for (const [name, content] of tree) {
    const path = join(below, name);
    if (Buffer.isBuffer(content)) yield [path, content];
    else {
      yield [`${path}/`, null];
      yield* pathsIn(content, path);
    }
  }
}
