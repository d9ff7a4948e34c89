package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  @TempDir Path folder;

  @Test
  void whatIsWrittenIsReadBackForAllTypesShapesAndNames() throws IOException {
    Random random = new Random(7);
    for (int round = 0; round < 40; round++) {
      Map<String, byte[]> data = new HashMap<>();
      List<TensorSpec> specs = randomSpecs(random, data);
      Path file = folder.resolve("round" + round + ".safetensors");
      Map<String, String> metadata =
          round % 2 == 0 ? SafetensorsWriter.PYTORCH : Map.of("näme \"x\"", "\n\u0001😀");

      SafetensorsWriter.write(file, specs, metadata, inPieces(data, random));

      SafetensorsFile read = SafetensorsFile.open(file);
      assertThat(read.dataOffset() % 8).isZero();
      assertThat(read.metadata()).isEqualTo(metadata);
      assertThat(read.tensors().stream().map(TensorSpec::of).toList())
          .containsExactlyInAnyOrderElementsOf(specs);
      assertSameBytes(read, data);
    }
    assertThat(list()).hasSize(40);
  }

  private static List<TensorSpec> randomSpecs(Random random, Map<String, byte[]> data) {
    List<TensorSpec> specs = new ArrayList<>();
    for (SafetensorsDtype dtype : SafetensorsDtype.values()) {
      long[] shape = new long[random.nextInt(TensorShape.MAX_RANK + 1)];
      for (int i = 0; i < shape.length; i++) {
        shape[i] = random.nextInt(6) == 0 ? 0 : 1 + random.nextInt(4);
      }
      if (dtype.bits() < 8) {
        shape = new long[] {2L * random.nextInt(20), 4};
      }
      TensorSpec spec = TensorSpec.of(dtype + "." + random.nextInt() + "\"é😀\\", dtype, shape);
      byte[] bytes = new byte[(int) spec.byteLength()];
      random.nextBytes(bytes);
      data.put(spec.name(), bytes);
      specs.add(spec);
    }
    java.util.Collections.shuffle(specs, random);
    return specs;
  }

  /** Native, byte array and float array segments in turn. */
  private static TensorData inPieces(Map<String, byte[]> data, Random random) {
    return (tensor, sink) -> {
      byte[] bytes = data.get(tensor.name());
      for (int done = 0; done < bytes.length; ) {
        int length = Math.min(bytes.length - done, 1 + random.nextInt(64));
        MemorySegment piece = MemorySegment.ofArray(bytes).asSlice(done, length);
        switch (random.nextInt(3)) {
          case 0 -> sink.write(piece);
          case 1 -> {
            float[] floats = new float[16];
            MemorySegment copy = MemorySegment.ofArray(floats).asSlice(0, length);
            sink.write(copy.copyFrom(piece));
          }
          default -> {
            try (Arena arena = Arena.ofConfined()) {
              sink.write(arena.allocate(length).copyFrom(piece));
            }
          }
        }
        done += length;
      }
    };
  }

  private static void assertSameBytes(SafetensorsFile file, Map<String, byte[]> data) {
    try (CheckpointReader reader = CheckpointReader.of(List.of(file), ReadProgress.NONE)) {
      for (TensorInfo tensor : file.tensors()) {
        byte[] read = new byte[(int) tensor.byteLength()];
        reader.read(tensor, MemorySegment.ofArray(read));
        assertThat(read).isEqualTo(data.get(tensor.name()));
      }
    }
  }

  @Test
  void theHeaderIsWhatTheReferenceImplementationReads() {
    byte[] header =
        SafetensorsWriter.header(
            List.of(
                TensorSpec.of("a", SafetensorsDtype.F32, 2, 2),
                TensorSpec.of("s", SafetensorsDtype.BF16)),
            SafetensorsWriter.PYTORCH);

    assertThat(new String(header, UTF_8))
        .isEqualTo(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                + "\"s\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[16,18]}} ");
    assertThat(header.length % 8).isZero();
  }

  @Test
  void aFailureLeavesTheOldFileAndNothingElse() throws IOException {
    Path file = folder.resolve("model.safetensors");
    Files.writeString(file, "old");
    List<TensorSpec> specs = List.of(TensorSpec.of("a", SafetensorsDtype.U8, 4));

    assertThatThrownBy(() ->
            SafetensorsWriter.write(
                file,
                specs,
                Map.of(),
                (tensor, sink) -> {
                  throw new IllegalArgumentException("from the callback");
                }))
        .hasMessage("from the callback");
    assertThatThrownBy(() ->
            SafetensorsWriter.write(
                file, specs, Map.of(), (t, sink) -> sink.write(MemorySegment.ofArray(new byte[5]))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must not exceed the tensor's bytes: tensor=a U8[4] bytes=4");
    assertThatThrownBy(() ->
            SafetensorsWriter.write(
                file, specs, Map.of(), (t, sink) -> sink.write(MemorySegment.ofArray(new byte[3]))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must give all of the tensor's bytes: tensor=a U8[4] bytes=4 given=3");
    assertThat(file).hasContent("old");
    assertThat(list()).containsExactly("model.safetensors");
  }

  @Test
  void aFileThatTheDiskCannotHoldIsRefusedBeforeAByteIsWritten() throws IOException {
    Path file = folder.resolve("model.safetensors");
    List<TensorSpec> specs = List.of(TensorSpec.of("a", SafetensorsDtype.F64, 1L << 47));

    CheckpointException e =
        catchThrowableOfType(
            CheckpointException.class,
            () ->
                SafetensorsWriter.write(
                    file,
                    specs,
                    Map.of(),
                    (tensor, sink) -> {
                      throw new AssertionError("must not be asked for data");
                    }));

    assertThat(e.code()).isEqualTo(ErrorCode.WRITE_NO_SPACE);
    assertThat(e)
        .hasMessageStartingWith(
            "FATHOM-1401 The file \""
                + file
                + "\" is not written: the disk must have room for it: bytes=1125899906842720 usable=")
        .hasMessageEndingWith(". Fix: free disk space or choose a folder on another disk");
    assertThat(list()).isEmpty();
  }

  @Test
  void aMissingFolderIsSaid() {
    Path file = folder.resolve("missing/model.safetensors");

    assertThatThrownBy(
            () -> SafetensorsWriter.write(file, List.of(), Map.of(), (tensor, sink) -> {}))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "FATHOM-1400 The file \""
                + file
                + "\" is not written: the operating system reports"
                + " \"java.nio.file.NoSuchFileException: "
                + folder.resolve("missing")
                + "\". Fix: check that the folder exists, that this process may write to it and"
                + " that the disk has room");
  }

  @Test
  void specsAreChecked() {
    assertThatThrownBy(() -> TensorSpec.of("", SafetensorsDtype.U8, 1))
        .hasMessage("must be a tensor name: name=");
    assertThatThrownBy(() -> TensorSpec.of("__metadata__", SafetensorsDtype.U8, 1))
        .hasMessage("must be a tensor name: name=__metadata__");
    assertThatThrownBy(() -> TensorSpec.of("a", SafetensorsDtype.U8, -1))
        .hasMessage("must have at most 8 dimensions and 2^48 elements: shape=[-1]");
    assertThatThrownBy(() -> TensorSpec.of("a", SafetensorsDtype.F4, 3))
        .hasMessage("must have a whole number of bytes: dtype=F4 shape=[3]");
    TensorSpec a = TensorSpec.of("a", SafetensorsDtype.U8, 1);
    assertThatThrownBy(() -> SafetensorsWriter.header(List.of(a, a), Map.of()))
        .hasMessage("must not occur twice: name=a");
  }

  @Test
  void shardsAreFilledInOrderAndIndexedLast() throws IOException {
    List<TensorSpec> specs = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      specs.add(TensorSpec.of("t" + i, SafetensorsDtype.U8, i == 4 ? 100 : 10));
    }
    ShardedWriter writer = ShardedWriter.plan(specs, 32);
    assertThat(writer.numShards()).isEqualTo(5);
    assertThat(writer.totalBytes()).isEqualTo(190);
    Files.writeString(folder.resolve("config.json"), "{}");
    List<String> asked = new ArrayList<>();

    writer.write(
        folder,
        (tensor, sink) -> {
          asked.add(tensor.name());
          assertThat(folder.resolve(CheckpointFolder.INDEX)).doesNotExist();
          sink.write(MemorySegment.ofArray(new byte[(int) tensor.byteLength()]));
        });

    assertThat(asked).containsExactlyElementsOf(specs.stream().map(TensorSpec::name).toList());
    Checkpoint read = Checkpoint.open(folder);
    assertThat(read.files().stream().map(f -> f.path().getFileName().toString()))
        .containsExactly(
            "model-00001-of-00005.safetensors",
            "model-00002-of-00005.safetensors",
            "model-00003-of-00005.safetensors",
            "model-00004-of-00005.safetensors",
            "model-00005-of-00005.safetensors");
    assertThat(read.tensors().values().stream().map(TensorSpec::of))
        .containsExactlyElementsOf(specs);
    assertThat(read.weightBytes()).isEqualTo(190);
    assertThat(Files.readString(folder.resolve(CheckpointFolder.INDEX)))
        .startsWith(
            "{\n  \"metadata\": {\n    \"total_size\": 190\n  },\n  \"weight_map\": {\n"
                + "    \"t0\": \"model-00001-of-00005.safetensors\",\n");
    assertThatThrownBy(() -> writer.write(folder, (tensor, sink) -> {}))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "FATHOM-1402 The checkpoint \""
                + folder
                + "\" is not written: the folder already holds weights. Fix: choose an empty folder");
  }

  @Test
  void oneShardIsCalledModelSafetensorsAndHasNoIndex() throws IOException {
    ShardedWriter.plan(List.of(TensorSpec.of("t", SafetensorsDtype.U8, 3)), 100)
        .write(folder, (tensor, sink) -> sink.write(MemorySegment.ofArray(new byte[3])));

    assertThat(list()).containsExactly("model.safetensors");
    assertThatThrownBy(() -> ShardedWriter.plan(List.of(), 100))
        .hasMessage("must have tensors and room: tensors=0 maxShardBytes=100");
  }

  private List<String> list() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
