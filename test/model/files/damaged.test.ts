import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../../lib/model/files/index.ts';
import { FOLDER } from './fixtures.ts';
import { readEntries, writeZip, type ZipEntry } from './write-zip.ts';

const bytesOf = (file: string) => readFileSync(join(FOLDER, file));
const refused = (bytes: Uint8Array) =>
  expect(readModelFile(bytes, { trusted: true })).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' });

/** The archive of a fixture with some of its entries replaced; `null` takes one away. */
async function changed(file: string, change: (entry: ZipEntry) => ZipEntry | null): Promise<Uint8Array> {
  const entries = (await readEntries(bytesOf(file))).map(change);
  return writeZip(entries.filter((entry) => entry !== null));
}

interface ProgramJson {
  schema_version: { major: number };
  graph_module: { graph: { nodes: { target: string }[] } };
}

async function changedGraph(change: (program: ProgramJson) => void): Promise<Uint8Array> {
  return changed('mlp.pt2', (entry) => {
    if (!entry.name.endsWith('models/model.json')) return entry;
    const program = JSON.parse(Buffer.from(entry.data).toString());
    change(program);
    return { ...entry, data: Buffer.from(JSON.stringify(program)) };
  });
}

describe('files of another kind', () => {
  test('a missing file', () =>
    expect(readModelFile('/no/such/model.pt2')).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringContaining('/no/such/model.pt2'),
    }));
  test('no path and no bytes', () => expect(readModelFile(7 as never)).rejects.toThrow(TypeError));
  test('an empty file', () => refused(new Uint8Array()));
  test('text', () => refused(Buffer.from('{"layers": []}')));
  test('an archive of other things', () =>
    refused(writeZip([{ name: 'a/readme', data: Buffer.from('hello') }])));
});

describe('archives that lie', () => {
  const zeros = new Uint8Array(1 << 20);

  test('a zip bomb', async () => {
    const bomb = Array.from({ length: 200 }, (_, i) => ({
      name: `a/data/${i}`,
      data: zeros,
      deflated: true,
    }));
    await expect(readModelFile(writeZip(bomb))).rejects.toThrow(/would expand to more than/);
  });
  test('an entry that unpacks to more than it says', async () => {
    const entry = { name: 'a/models/model.json', data: zeros, deflated: true, claims: { size: 100 } };
    await refused(writeZip([entry]));
  });
  test('entries that share their data', async () => {
    const data = Buffer.alloc(1000, 'x');
    const shared = { offset: 0, size: 1000, compressedSize: 1000 };
    const entries = Array.from({ length: 9 }, (_, i) => ({
      name: `a/data/${i}`,
      data: i === 0 ? data : new Uint8Array(),
      claims: shared,
    }));
    await expect(readModelFile(writeZip(entries))).rejects.toThrow(/overlap/);
  });
  test('a name twice', () =>
    expect(
      readModelFile(
        writeZip([
          { name: 'a/b', data: zeros },
          { name: 'a/b', data: zeros },
        ]),
      ),
    ).rejects.toThrow(/there twice/));
  test.each([{ offset: 0xfffffff0 }, { compressedSize: 0x7fffffff, size: 0x7fffffff }, { method: 99 }])(
    'an entry that claims %o',
    (claims) => refused(writeZip([{ name: 'a/models/model.json', data: Buffer.from('{}'), claims }])),
  );
  test('a path out of the archive', () => refused(writeZip([{ name: '../../a', data: zeros }])));
});

describe('exported programs that are wrong inside', () => {
  const weights = /weights\/weight_0$/;

  test('a missing weight', async () =>
    refused(await changed('mlp.pt2', (entry) => (weights.test(entry.name) ? null : entry))));
  test('a weight that is too short', async () =>
    refused(
      await changed('mlp.pt2', (entry) =>
        weights.test(entry.name) ? { ...entry, data: entry.data.subarray(8) } : entry,
      ),
    ));
  test.each([
    ['"as_int":5', '"as_int":9007199254740991'],
    ['"as_int":5', '"as_int":-5'],
    ['"storage_offset": {"as_int": 0}', '"storage_offset": {"as_int": 4}'],
  ])('a layout with %s made %s', async (from, to) => {
    const plain = (text: string) => text.replaceAll('": ', '":');
    await refused(
      await changed('mlp.pt2', (entry) => {
        if (!entry.name.endsWith('_weights_config.json')) return entry;
        const text = plain(Buffer.from(entry.data).toString());
        expect(text).toContain(plain(from));
        return { ...entry, data: Buffer.from(text.replace(plain(from), plain(to))) };
      }),
    );
  });
  test('a version to come', async () =>
    refused(await changedGraph((program) => (program.schema_version.major = 9))));
  test('a value read before it exists', async () =>
    refused(await changedGraph((program) => program.graph_module.graph.nodes.reverse())));
  test('an operator that does not exist', async () => {
    const bytes = await changedGraph((program) => {
      program.graph_module.graph.nodes[0]!.target = 'torch.ops.aten.no_such_operator.default';
    });
    await expect(readModelFile(bytes, { trusted: true })).rejects.toThrow(
      /no operator aten::no_such_operator/,
    );
  });
  test('a state dict that calls a function', async () => {
    const data = Buffer.from('\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.', 'latin1');
    const pickle = writeZip([{ name: 'archive/data.pkl', data }]);
    const bytes = await changed('mlp.old.pt2', (entry) =>
      entry.name === 'serialized_state_dict.pt' ? { ...entry, data: pickle } : entry,
    );
    await expect(readModelFile(bytes, { trusted: true })).rejects.toThrow(
      /calls os\.system, which is not allowed/,
    );
  });
});

describe('TorchScript modules that are wrong inside', () => {
  test('code that runs while loading', async () => {
    const bytes = await changed('mlp.pt', (entry) =>
      entry.name.endsWith('__torch__.py') || entry.name.includes('code/')
        ? { ...entry, data: Buffer.concat([entry.data, Buffer.from('\n# def __setstate__(self)\n')]) }
        : entry,
    );
    await expect(readModelFile(bytes, { trusted: true })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
    });
  });
  test('weights that are shorter than their tensors', async () => {
    const bytes = await changed('mlp.pt', (entry) =>
      /\/data\/0$/.test(entry.name) ? { ...entry, data: entry.data.subarray(0, 8) } : entry,
    );
    await refused(bytes);
  });
});
