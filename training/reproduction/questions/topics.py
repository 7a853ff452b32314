"""Module VIII: topics in deep learning."""

from training.reproduction.course import Question, Text

QUESTIONS = (
    Question(
        Text("Exercise 1", "Exercício 1"),
        Text(
            "Which approach suits COCO Keypoints, where people are detected and their key points located?",
            "Que abordagem é adequada ao COCO Keypoints, em que se detetam pessoas e se localizam os seus "
            "pontos-chave?",
        ),
        Text(
            "A convolutional net whose output has both: whether people are present, and the coordinates of their key "
            "points by regression. A classifier (b), an embedding by triplet loss (c) and the overlap of areas (d) "
            "give no coordinates.",
            "Uma rede convolucional cuja saída tem as duas coisas: a presença de pessoas e as coordenadas dos "
            "pontos-chave por regressão. Um classificador (b), um embedding por perda tripla (c) e a sobreposição de "
            "áreas (d) não dão coordenadas.",
        ),
        option="a",
    ),
    Question(
        Text("Exercise 2", "Exercício 2"),
        Text(
            "Texts by 200 authors share most of their content: which training gives a space in which a text is near "
            "to those of its author?",
            "Textos de 200 autores partilham a maior parte do conteúdo: que treino dá um espaço em que um texto fica "
            "perto dos do seu autor?",
        ),
        Text(
            "First a classifier with cross-entropy on GRU, projection and output layer (I, II, III, IV), then GRU and "
            "projection (I, II) with the contrastive loss (V). The GRU reads the sequence and the projection spans "
            "the space; classification finds what sets authors apart, and the contrastive loss then pulls apart texts "
            "that overlap.",
            "Primeiro um classificador com entropia cruzada sobre GRU, projeção e camada de saída (I, II, III, IV), "
            "depois a GRU e a projeção (I, II) com a perda contrastiva (V). A GRU lê a sequência e a projeção define "
            "o espaço; a classificação encontra o que distingue os autores, e a perda contrastiva afasta depois os "
            "textos que se sobrepõem.",
        ),
        option="c",
    ),
    Question(
        Text("Exercise 3", "Exercício 3"),
        Text(
            "When is self-supervision useful?",
            "Em que cenário é útil a autossupervisão?",
        ),
        Text(
            "When much data without labels is at hand: it yields an initial model that is then adapted to a task with "
            "few labels. It makes no classifier without labels (a), does not clean data (b), and needs much data "
            "rather than adding to little (d).",
            "Quando há muitos dados sem anotação: dá um modelo inicial que depois se adapta a uma tarefa com poucas "
            "anotações. Não cria um classificador sem anotações (a), não limpa dados (b), e precisa de muitos dados "
            "em vez de aumentar os poucos (d).",
        ),
        option="c",
    ),
    Question(
        Text("Exercise 4", "Exercício 4"),
        Text(
            "How do contrastive and triplet loss of the embeddings compare, and does the training with cross-entropy "
            "minimise them?",
            "Como se comparam as perdas contrastiva e tripla dos embeddings, e o treino com entropia cruzada "
            "minimiza-as?",
        ),
        Text(
            "By the printed figures the triplet loss is the larger one, and both fall: .3183 to .1004, and .1603 to "
            ".0673. Our run confirms the fall of the triplet loss only, {fashion_embedding:triplet_before} to "
            "{fashion_embedding:triplet}; the contrastive loss goes from {fashion_embedding:contrastive_before} to "
            "{fashion_embedding:contrastive}, because fifty pictures and random initial weights leave much to chance.",
            "Segundo os valores impressos a perda tripla é a maior, e ambas descem: 0,3183 para 0,1004, e 0,1603 para "
            "0,0673. A nossa execução só confirma a descida da tripla, {fashion_embedding:triplet_before} para "
            "{fashion_embedding:triplet}; a contrastiva vai de {fashion_embedding:contrastive_before} para "
            "{fashion_embedding:contrastive}, porque cinquenta imagens e pesos iniciais aleatórios deixam muito ao "
            "acaso.",
        ),
        option="c",
        shown_by=("fashion_embedding",),
    ),
    Question(
        Text("Exercise 5", "Exercício 5"),
        Text(
            "A sparse denoising autoencoder (I), a net that puts shuffled features in order (II) and a net trained on "
            "labelled data of similar clients (III): what kind of learning is each?",
            "Um denoising autoencoder esparso (I), uma rede que ordena características baralhadas (II) e uma rede "
            "treinada com dados anotados de clientes semelhantes (III): que tipo de aprendizagem é cada uma?",
        ),
        Text(
            "I and II are self-supervision: their targets, the clean values and the right positions, come from the "
            "data, so they can use all 10 million transactions without labels. III uses the labels of other clients "
            "and is transferred, so it is transfer learning.",
            "I e II são autossupervisão: os seus alvos, os valores limpos e as posições corretas, provêm dos próprios "
            "dados, pelo que podem usar os 10 milhões de transações sem anotação. III usa as anotações de outros "
            "clientes e é transferida: é transferência de aprendizagem.",
        ),
        option="d",
    ),
)
