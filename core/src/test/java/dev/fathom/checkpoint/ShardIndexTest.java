package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** An index and its shards: a = {x, y}, b = {z}. */
class ShardIndexTest {
  private static final String A = "model-00001-of-00002.safetensors";
  private static final String B = "model-00002-of-00002.safetensors";
  private static final String FIX =
      ". Fix: download the index and all shards again from the same revision of the model";

  @TempDir Path folder;

  @BeforeEach
  void writeCheckpoint() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    shard(A, "x", "y");
    shard(B, "z");
    index("\"x\":\"" + A + "\",\"y\":\"" + A + "\",\"z\":\"" + B + "\"", 12);
  }

  @Test
  void aCompleteCheckpointOpensInTheOrderOfItsFiles() {
    Checkpoint checkpoint = Checkpoint.open(folder);

    assertThat(checkpoint.tensors().keySet()).containsExactly("x", "y", "z");
    assertThat(checkpoint.tensor("z").file()).isEqualTo(folder.resolve(B));
    assertThat(checkpoint.weightBytes()).isEqualTo(12);
  }

  @Test
  void missingShardsAreCounted() throws IOException {
    Files.delete(folder.resolve(B));
    assertRefused(
        ErrorCode.INDEX_SHARD_MISSING,
        "FATHOM-1202 The checkpoint \""
            + folder
            + "\" is incomplete: 1 of 2 shards are missing: first=\""
            + B
            + "\". Fix: download the missing shards into the folder");
  }

  @Test
  void aShardNamedInAnotherCaseIsSaidAndTheRemedyWorks() throws IOException {
    Path wrong = folder.resolve("Model-00002-of-00002.safetensors");
    Files.move(folder.resolve(B), wrong);
    assertRefused(
        ErrorCode.INDEX_SHARD_CASE,
        why(
                "a shard must be named exactly as its file: shard=\""
                    + B
                    + "\" file=\""
                    + wrong.getFileName()
                    + "\"",
                "FATHOM-1203")
            .replace(FIX, ". Fix: rename the file to \"" + B + "\""));

    Files.move(wrong, folder.resolve(B));
    assertThat(Checkpoint.open(folder).tensors()).hasSize(3);
  }

  @Test
  void aTruncatedShardSaysWhichFileAndHowManyBytesAreMissing() throws IOException {
    byte[] bytes = Files.readAllBytes(folder.resolve(B));
    Files.write(folder.resolve(B), java.util.Arrays.copyOf(bytes, bytes.length - 3));
    assertRefused(
        ErrorCode.SAFETENSORS_TRUNCATED,
        "FATHOM-1112 The safetensors file \""
            + folder.resolve(B)
            + "\" is not usable: the file must hold all its tensors: expected bytes="
            + bytes.length
            + " actual="
            + (bytes.length - 3)
            + " missing=3. Fix: download the file again, or write it again with a current"
            + " safetensors library");
  }

  @Test
  void aTensorListedInTheWrongShardIsSaid() throws IOException {
    index("\"x\":\"" + A + "\",\"y\":\"" + B + "\",\"z\":\"" + B + "\"", 12);
    assertRefused(
        ErrorCode.INDEX_TENSOR_WRONG_SHARD,
        why(
            "every listed tensor must be in its shard: tensor=\"y\" shard=\""
                + B
                + "\" found in=\""
                + A
                + "\"",
            "FATHOM-1204"));
  }

  @Test
  void aTensorInTwoShardsIsSaid() throws IOException {
    shard(B, "y", "z");
    assertRefused(
        ErrorCode.INDEX_TENSOR_TWICE,
        why(
            "a tensor must be in one shard: tensor=\"y\" shards=\"" + A + "\", \"" + B + "\"",
            "FATHOM-1205"));
  }

  @Test
  void aListedTensorThatNoShardHasIsSaid() throws IOException {
    index("\"x\":\"" + A + "\",\"y\":\"" + A + "\",\"z\":\"" + B + "\",\"w\":\"" + B + "\"", 12);
    assertRefused(
        ErrorCode.INDEX_TENSOR_MISSING,
        why(
            "every listed tensor must be in its shard: tensor=\"w\" shard=\"" + B + "\"",
            "FATHOM-1206"));
  }

  @Test
  void aTensorThatTheIndexDoesNotListIsSaid() throws IOException {
    shard(B, "z", "extra");
    assertRefused(
        ErrorCode.INDEX_TENSOR_UNLISTED,
        why(
            "every tensor of a shard must be listed: tensor=\"extra\" shard=\"" + B + "\"",
            "FATHOM-1207"));
  }

  @Test
  void aTotalSizeAboveTheFilesIsRefusedAndAnotherWrongOneIsOnlyLogged() throws IOException {
    String map = "\"x\":\"" + A + "\",\"y\":\"" + A + "\",\"z\":\"" + B + "\"";
    long files = Files.size(folder.resolve(A)) + Files.size(folder.resolve(B));
    for (long size : new long[] {0, 11, 13, files}) {
      index(map, size);
      assertThat(Checkpoint.open(folder).tensors()).hasSize(3);
    }
    index(map, files + 1);
    assertRefused(
        ErrorCode.INDEX_TOTAL_SIZE,
        why(
            "total_size must be at most the bytes of the shards: total_size="
                + (files + 1)
                + " shards="
                + files,
            "FATHOM-1208"));
  }

  @Test
  void aShardThatNobodyListsIsIgnored() throws IOException {
    Files.writeString(folder.resolve("model-00003-of-00003.safetensors"), "not even one");
    assertThat(Checkpoint.open(folder).tensors()).hasSize(3);
  }

  @Test
  void aShardThatIsALinkOutOfTheFolderIsNotFollowed() throws IOException {
    Path outside = folder.resolveSibling(folder.getFileName() + "-outside");
    Files.move(folder.resolve(B), outside);
    Files.createSymbolicLink(folder.resolve(B), outside);
    try {
      assertRefused(
          ErrorCode.CHECKPOINT_LINK_OUTSIDE,
          "FATHOM-1012 The file \""
              + folder.resolve(B)
              + "\" is not read: a symbolic link must not lead out of the folder: target=\""
              + outside.toRealPath()
              + "\". Fix: put the file itself into the folder");
    } finally {
      Files.delete(outside);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../b.safetensors",
        "sub/b.safetensors",
        "/etc/b.safetensors",
        "sub\\\\b.safetensors",
        "C:b.safetensors",
        "..safetensors",
        ".safetensors",
        ".b.safetensors",
        "",
        "b.bin",
        "b\\u0000.safetensors",
        "b\\n.safetensors",
      })
  void aShardNameThatIsNoPlainFileNameIsRefused(String json) throws IOException {
    index("\"x\":\"" + json + "\"", 1);
    String name = json.replace("\\\\", "\\");
    String shown = name.equals(json) ? json : "sub\\\\b.safetensors";
    assertRefused(
        ErrorCode.INDEX_SHARD_NAME,
        why(
            "a shard must be a plain file name ending with .safetensors: shard=\"" + shown + "\"",
            "FATHOM-1201"));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "`{`                              | it must be JSON, but a name must be a string in double quotes: offset=1",
        "`[]`                             | it must be a JSON object",
        "`{}`                             | it must have a weight_map with at least one tensor",
        "`{\"weight_map\":{}}`            | it must have a weight_map with at least one tensor",
        "`{\"weight_map\":[]}`            | weight_map must be an object",
        "`{\"weight_map\":{\"x\":1}}`     | weight_map must hold strings only: tensor=\"x\"",
        "`{\"weight_map\":{\"x\":\"a.safetensors\",\"\\u0078\":\"a.safetensors\"}}` | a tensor must be listed once: tensor=\"x\"",
        "`{\"weight_map\":{\"x\":\"a.safetensors\"},\"weight_map\":{}}` | it must have one weight_map",
        "`[[[[[[[[[1]]]]]]]]]`            | it must be JSON, but must not nest deeper than 8 levels: offset=8",
      })
  void aMalformedIndexIsRefused(String json, String rule) throws IOException {
    Files.writeString(folder.resolve(CheckpointFolder.INDEX), json);
    assertRefused(ErrorCode.INDEX_INVALID, why(rule, "FATHOM-1200"));
  }

  @Test
  void otherKeysOfTheIndexAreSkipped() {
    ShardIndex index =
        ShardIndex.parse(
            Path.of("i"),
            ("{\"a\":[1,{}],\"metadata\":{\"x\":{\"total_size\":3},\"total_size\":7.5},"
                    + "\"weight_map\":{\"x\":\"a.safetensors\"},\"z\":null}")
                .getBytes(UTF_8));
    assertThat(index.shards()).containsOnlyKeys("x");
    assertThat(index.totalSize()).isEqualTo(-1);
    assertThat(index.shardNames()).isEqualTo(List.of("a.safetensors"));
  }

  private void shard(String name, String... tensors) throws IOException {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i < tensors.length; i++) {
      header.append(i == 0 ? "" : ",");
      header.append(
          SafetensorsBytes.tensor(tensors[i], "U8", "[4]", "[%d,%d]".formatted(4 * i, 4 * i + 4)));
    }
    Files.write(folder.resolve(name), SafetensorsBytes.file(header + "}", 4 * tensors.length));
  }

  private void index(String map, long totalSize) throws IOException {
    Files.writeString(
        folder.resolve(CheckpointFolder.INDEX),
        "{\"metadata\":{\"total_size\":" + totalSize + "},\"weight_map\":{" + map + "}}");
  }

  private String why(String why, String id) {
    return id
        + " The index \""
        + folder.resolve(CheckpointFolder.INDEX)
        + "\" is not usable: "
        + why
        + FIX;
  }

  private void assertRefused(ErrorCode code, String message) {
    CheckpointException e =
        catchThrowableOfType(CheckpointException.class, () -> Checkpoint.open(folder));
    assertThat(e).isNotNull();
    assertThat(e.code()).isEqualTo(code);
    assertThat(e).hasMessage(message);
  }
}
